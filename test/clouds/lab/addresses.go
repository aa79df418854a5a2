package lab

import (
	"context"

	"github.com/pointsman/pointsman/test/clouds/redis"
)

// Addresses is where everything of a Lab is. Its JSON is stable.
type Addresses struct {
	Coordinators []Coordinator `json:"coordinators"`
	Redis        []redis.Node  `json:"redis"`
	Sentinels    []redis.Node  `json:"sentinels"`
	LoadBalancer string        `json:"loadbalancer"` // where clients of Redis connect
	Providers    Providers     `json:"providers"`
	Spec         string        `json:"spec"` // path of the spec as applied
}

// Coordinator is one coordinator's place. PID is 0 while it is dead.
type Coordinator struct {
	ID      string `json:"id"`
	Zone    string `json:"zone"`
	PID     int    `json:"pid"`
	Raft    string `json:"raft"`
	GRPC    string `json:"grpc"`
	HTTP    string `json:"http"`
	DataDir string `json:"data_dir"`
}

// Providers are the simulated outside services.
type Providers struct {
	OVH     Provided   `json:"ovh"`
	Shopify *ShopPlace `json:"shopify,omitempty"` // with Options.Shopify
	HTTP    string     `json:"http,omitempty"`    // URL of the endpoint
	Command string     `json:"command,omitempty"` // path of the script
	HAProxy *Proxied   `json:"haproxy,omitempty"`
}

// Proxied is HAProxy in front of the Redis master.
type Proxied struct {
	Runtime string `json:"runtime"` // unix:/PATH of the runtime API, as the spec names it
	Socket  string `json:"socket"`  // path at which clients of Redis connect
}

// Provided is one simulated service.
type Provided struct {
	URL     string `json:"url"`     // of its API
	Control string `json:"control"` // of the simulator's own endpoint: journal, faults, proof
}

// ShopPlace is the simulated shop.
type ShopPlace struct {
	URL   string `json:"url"`
	Token string `json:"token"` // path of the file that holds it
}

// Addresses lists where everything is, and who leads ("" when nobody does).
func (l *Lab) Addresses(ctx context.Context) (a Addresses, leader string) {
	a = Addresses{
		Redis: l.Redis.Redis(), Sentinels: l.Redis.Sentinels(), LoadBalancer: l.Cloud.Address,
		Providers: Providers{OVH: Provided{URL: l.Cloud.URL, Control: l.Cloud.Control}}, Spec: l.Spec,
	}
	for _, n := range l.Nodes.all {
		a.Coordinators = append(a.Coordinators, Coordinator{
			ID: n.id, Zone: n.zone, PID: n.PID(), Raft: n.raft, GRPC: n.grpc, HTTP: n.http, DataDir: n.dir,
		})
	}
	if l.Shop != nil {
		a.Providers.Shopify = &ShopPlace{URL: l.Shop.URL, Token: l.Shop.Token}
	}
	if h := l.Others.Hook; h != nil {
		a.Providers.HTTP = h.URL
	}
	if s := l.Others.Script; s != nil {
		a.Providers.Command = s.Program
	}
	if b := l.Others.HAProxy; b != nil {
		a.Providers.HAProxy = &Proxied{Runtime: b.Runtime, Socket: b.Socket}
	}
	if n, err := l.Nodes.Leader(ctx); err == nil {
		leader = n.id
	}
	return a, leader
}
