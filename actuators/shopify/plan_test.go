package shopify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pointsman/pointsman/actuators"
	"github.com/pointsman/pointsman/actuators/shopify"
	"github.com/pointsman/pointsman/fsm"
	pb "github.com/pointsman/pointsman/proto/pointsman/v1"
)

func TestCheckTarget(t *testing.T) {
	good := &pb.ShopifyTarget{Shop: "example.myshopify.com", ApiVersion: "2026-10", Token: "credential:shopify"}
	kind := shopify.New(shopify.Config{})
	if p := kind.CheckTarget(good); len(p) > 0 {
		t.Fatal(p)
	}
	for name, c := range map[string]struct {
		change func(*pb.ShopifyTarget)
		want   string // path: part of the message
	}{
		"private app":    {func(t *pb.ShopifyTarget) { t.Shop = "https://key:hunter2@example.myshopify.com" }, "shop: private app"},
		"another domain": {func(t *pb.ShopifyTarget) { t.Shop = "shop.example.com" }, "shop: permanent name"},
		"metadata":       {func(t *pb.ShopifyTarget) { t.Shop = "169.254.169.254" }, "shop: permanent name"},
		"path":           {func(t *pb.ShopifyTarget) { t.Shop = "example.myshopify.com/x" }, "shop: permanent name"},
		"suffix":         {func(t *pb.ShopifyTarget) { t.Shop = "example.myshopify.com.evil.example" }, "shop: permanent name"},
		"capitals":       {func(t *pb.ShopifyTarget) { t.Shop = "Example.myshopify.com" }, "shop: permanent name"},
		"version":        {func(t *pb.ShopifyTarget) { t.ApiVersion = "2026-11" }, "api_version: quarterly"},
		"no version":     {func(t *pb.ShopifyTarget) { t.ApiVersion = "unstable" }, "api_version: quarterly"},
		"no login":       {func(t *pb.ShopifyTarget) { t.Token = "" }, ": want one of"},
		"written out":    {func(t *pb.ShopifyTarget) { t.Token = "shpat_hunter2" }, "token: want file"},
		"two logins": {func(t *pb.ShopifyTarget) {
			t.ClientCredentials = &pb.ShopifyClientCredentials{ClientId: "a", ClientSecret: "env:B"}
		}, ": want one of"},
		"bad client": {func(t *pb.ShopifyTarget) {
			t.Token, t.ClientCredentials = "", &pb.ShopifyClientCredentials{ClientId: "a b", ClientSecret: "env:B"}
		}, "client_credentials.client_id: letters"},
		"bad secret": {func(t *pb.ShopifyTarget) {
			t.Token, t.ClientCredentials = "", &pb.ShopifyClientCredentials{ClientId: "a", ClientSecret: "hunter2"}
		}, "client_credentials.client_secret: want file"},
		"two logins, one rotates": {func(t *pb.ShopifyTarget) {
			t.Refresh = &pb.ShopifyRefresh{ClientId: "a", ClientSecret: "env:B", RefreshToken: "env:C"}
		}, ": want one of"},
		"bad client that rotates": {func(t *pb.ShopifyTarget) {
			t.Token, t.Refresh = "", &pb.ShopifyRefresh{ClientId: "a b", ClientSecret: "env:B", RefreshToken: "env:C"}
		}, "refresh.client_id: letters"},
		"bad secret that rotates": {func(t *pb.ShopifyTarget) {
			t.Token, t.Refresh = "", &pb.ShopifyRefresh{ClientId: "a", ClientSecret: "hunter2", RefreshToken: "env:C"}
		}, "refresh.client_secret: want file"},
		"refresh token written out": {func(t *pb.ShopifyTarget) {
			t.Token, t.Refresh = "", &pb.ShopifyRefresh{ClientId: "a", ClientSecret: "env:B", RefreshToken: "shprt_hunter2"}
		}, "refresh.refresh_token: want file"},
		"endpoint":            {func(t *pb.ShopifyTarget) { t.Endpoint = "ftp://x" }, "endpoint: http(s)"},
		"endpoint with key":   {func(t *pb.ShopifyTarget) { t.Endpoint = "https://key:hunter2@x" }, "endpoint: private app"},
		"endpoint with query": {func(t *pb.ShopifyTarget) { t.Endpoint = "https://x?a=b" }, "endpoint: without query"},
	} {
		msg := proto.Clone(good).(*pb.ShopifyTarget)
		c.change(msg)
		p := kind.CheckTarget(msg)
		path, text, _ := strings.Cut(c.want, ": ")
		if len(p) != 1 || p[0].Path != path || !strings.Contains(p[0].Message, text) || strings.Contains(fmt.Sprint(p), "hunter2") {
			t.Errorf("%s: %v, want %q", name, p, c.want)
		}
	}
}

func encoded(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPlan(t *testing.T) {
	l := &lab{kind: shopify.New(shopify.Config{}), spec: &pb.ShopifyTarget{}}
	many := map[string]string{}
	for i := range 26 {
		many[fmt.Sprintf("key%d", i)] = "x"
	}
	for name, c := range map[string]struct {
		step *pb.ShopifyMetafieldsStep
		want []string // paths
	}{
		"good":           {&pb.ShopifyMetafieldsStep{Namespace: "pointsman", Values: map[string]string{"ab": "{{.New}}"}}, nil},
		"namespace":      {&pb.ShopifyMetafieldsStep{Namespace: "ab", Values: map[string]string{"ab": "x"}}, []string{"namespace"}},
		"odd namespace":  {&pb.ShopifyMetafieldsStep{Namespace: "$app:x", Values: map[string]string{"ab": "x"}}, []string{"namespace"}},
		"no values":      {&pb.ShopifyMetafieldsStep{Namespace: "abc"}, []string{"values"}},
		"too many":       {&pb.ShopifyMetafieldsStep{Namespace: "abc", Values: many}, []string{"values"}},
		"keys":           {&pb.ShopifyMetafieldsStep{Namespace: "abc", Values: map[string]string{"a": "x", `b"c`: "x"}}, []string{`values["a"]`, `values["b\"c"]`}},
		"templates":      {&pb.ShopifyMetafieldsStep{Namespace: "abc", Values: map[string]string{"aa": "{{.Nope}}", "bb": "{{", "cc": ""}}, []string{`values["aa"]`, `values["bb"]`, `values["cc"]`}},
		"unknown policy": {&pb.ShopifyMetafieldsStep{Namespace: "abc", Values: map[string]string{"ab": "x"}, Foreign: 9}, []string{"foreign"}},
	} {
		l.step = c.step
		planned, problems := l.kind.Plan(l.input())
		var paths []string
		for _, p := range problems {
			paths = append(paths, p.Path)
		}
		if !slices.Equal(paths, c.want) {
			t.Errorf("%s: %v, want problems of %v", name, problems, c.want)
		}
		if planned.Class != fsm.Fenced || planned.Object != fsm.ObjectID("shop/metafields/"+c.step.GetNamespace()) {
			t.Errorf("%s: planned %+v", name, planned)
		}
	}
	in := l.input()
	in.TargetMsg = &pb.OvhIplbTarget{}
	if _, p := l.kind.Plan(in); len(p) == 0 {
		t.Error("a step on a target of another kind was planned")
	}
	var kind actuators.Kind = l.kind
	if kind.(actuators.Targeted).Target() != shopify.TargetName {
		t.Error("the target has another name than the spec's")
	}
}
