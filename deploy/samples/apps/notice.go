//go:build ignore

// Follows where the master stands: go run notice.go
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

func main() {
	url, tag := os.Getenv("POINTSMAN")+"/v1/settings/redis/cache/url:raw?wait=30s", `"none"`
	client := http.Client{Timeout: 40 * time.Second}
	fmt.Printf("connect to redis://%s, until the first failover\n", os.Getenv("REDIS"))
	for {
		ask, _ := http.NewRequest(http.MethodGet, url, nil)
		ask.Header.Set("If-None-Match", tag)
		answer, err := client.Do(ask)
		if err == nil && answer.StatusCode == http.StatusOK {
			value, _ := io.ReadAll(answer.Body)
			tag = answer.Header.Get("ETag")
			fmt.Printf("connect to %s\n", value)
		}
		if err == nil {
			_ = answer.Body.Close()
		}
		if err != nil || answer.StatusCode >= http.StatusBadRequest {
			time.Sleep(time.Second) // the last value stands
		}
	}
}
