package shopify_test
import "time"
const actSpan = 5*time.Second
