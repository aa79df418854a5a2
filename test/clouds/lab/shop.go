package lab

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/pointsman/pointsman/test/clouds/shopify"
)

// Shop is the simulated Shopify shop, which a stage of its own tells where the
// master is.
type Shop struct {
	Sim   *shopify.Sim
	URL   string
	Token string // path of the file that holds the token
}

// Where the lab's spec writes in the shop.
const (
	ShopNamespace = "pointsman"
	ShopKey       = "redis_connection"
)

// shopTokenFile is in the lab's folder.
const shopTokenFile = "shopify.token"

// startShop makes a shop that knows one token.
func startShop(dir string) (*Shop, error) {
	sim, err := shopify.New(shopify.Config{})
	if err != nil {
		return nil, err
	}
	s := &Shop{Sim: sim, Token: filepath.Join(dir, shopTokenFile)}
	token := "shpat_" + rand.Text()
	sim.AddToken(token)
	if err := os.WriteFile(s.Token, []byte(token+"\n"), 0o600); err != nil {
		return nil, errors.Join(err, sim.Close())
	}
	if s.URL, err = sim.Start("127.0.0.1:0"); err != nil {
		return nil, errors.Join(err, sim.Close())
	}
	return s, nil
}

func (s *Shop) hurt(h Hurt) error {
	f := shopify.Fault{Op: shopify.OpWrite}
	switch h {
	case HurtBefore:
		f.Status = http.StatusServiceUnavailable
	case HurtCut:
		f.Do = shopify.DoDrop
	case HurtDelay:
		f.Do, f.Delay = shopify.DoDelay, hurtDelay
	case HurtAfter:
		f.When, f.Status = shopify.After, http.StatusInternalServerError
	case HurtLost:
		f.When, f.Do = shopify.After, shopify.DoDrop
	}
	_, err := s.Sim.AddFault(f)
	return err
}

// addition is the step that tells the shop, and its target.
func (s *Shop) addition(rate int) addition {
	return addition{
		step:   fmt.Sprintf(`{name: shopify, target: shop, shopify_metafields: {namespace: %s, values: {%s: "redis://{{.New}}/0"}}}`, ShopNamespace, ShopKey),
		target: fmt.Sprintf(`shop: {rate: %d, shopify: {shop: example.myshopify.com, api_version: 2026-10, token: "file:%s", endpoint: %q}}`, rate, s.Token, s.URL),
	}
}
