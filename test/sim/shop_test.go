package sim

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/pointsman/pointsman/fsm"
	"github.com/pointsman/pointsman/test/clouds/shopify"
)

// shopHost is the host of the simulated shop.
const (
	shopHost  = "shop"
	shopToken = "shpat_simulated"
	shopKey   = "connection"
)

// shopPlan is a second provider, of class fenced, whose step comes after the
// load balancer's.
type shopPlan struct {
	Knobs  shopify.Knobs
	Faults []shopify.Fault
}

// shop draws one for a part of the seeds. It has a stream of its own, so that
// the other decisions of a seed stay as they were.
func (d drawer) shop() {
	d.r = rand.New(rand.NewPCG(d.p.Seed, 0x73686f70))
	if d.chance(60) {
		return
	}
	k := shopify.DefaultKnobs()
	k.Throttle = pick(d.r, shopify.ThrottleOK, shopify.ThrottleStatus, shopify.ThrottleBare)
	k.CostForm = pick(d.r, shopify.CostFull, shopify.CostFull, shopify.CostBare, shopify.CostNone)
	k.RetryAfter = pick(d.r, "", "", "2.0", "0.5", "soon")
	k.Bucket, k.Restore = pick(d.r, 2000, 2000, 60), pick(d.r, 100, 100, 5)
	k.DigestForm = pick(d.r, shopify.DigestHex, shopify.DigestBase64, shopify.DigestWrite)
	k.ValueForm = pick(d.r, shopify.ValueVerbatim, shopify.ValueSorted, shopify.ValueSpaced)
	k.StaleCode = pick(d.r, shopify.StaleNamed, shopify.StaleNull, shopify.StaleOnce)
	k.SetAnswer = pick(d.r, shopify.SetList, shopify.SetList, shopify.SetNull, shopify.SetEmpty)
	k.RequestID = pick(d.r, shopify.RequestIDHeader, shopify.RequestIDNone)
	k.VersionHeader = pick(d.r, shopify.VersionTold, shopify.VersionUntold)
	k.GoodErrors = pick(d.r, shopify.GoodErrorsNone, shopify.GoodErrorsNull, shopify.GoodErrorsEmpty)
	k.Oldest = pick(d.r, "2026-01", "2027-01")
	k.Delay = pick(d.r, 0, 0, 200*time.Millisecond, time.Second)
	k.ReadLag = pick(d.r, 0, 0, 0, time.Second, 5*time.Second)
	d.p.Shop = &shopPlan{Knobs: k}
	for range d.r.IntN(6) {
		d.p.Shop.Faults = append(d.p.Shop.Faults, d.shopFault())
	}
}

func (d drawer) shopFault() shopify.Fault {
	f := shopify.Fault{
		Op: pick(d.r, shopify.OpWrite, shopify.OpWrite, shopify.OpRead), Skip: d.r.IntN(8), Count: pick(d.r, 1, 1, 2, 4),
		When: pick(d.r, shopify.Before, shopify.After),
		Do: pick(d.r, shopify.DoAnswer, shopify.DoHang, shopify.DoDrop, shopify.DoDelay, shopify.DoDelay, shopify.DoDelay,
			shopify.DoEmpty, shopify.DoError, shopify.DoCut, shopify.DoTruncate),
	}
	switch f.Do {
	case shopify.DoAnswer:
		if f.Status = pick(d.r, 500, 502, 503, 504, 429); f.Status == 429 {
			f.When, f.RetryAfter = shopify.Before, pick(d.r, "", "1", "2.5")
		}
		f.HTML = d.chance(50)
	case shopify.DoDelay:
		f.Delay = pick(d.r, d.span(100*time.Millisecond, 4*time.Second), d.span(4*time.Second, 60*time.Second))
	case shopify.DoError:
		f.Code = pick(d.r, "THROTTLED", "INTERNAL_SERVER_ERROR", "TIMEOUT", "SHOP_INACTIVE")
		if f.Code == "THROTTLED" || f.Code == "SHOP_INACTIVE" {
			f.When = shopify.Before
		}
	case shopify.DoCut, shopify.DoTruncate:
		f.When = shopify.After
	}
	return f
}

func shopNamespace(m masterPlan) string { return "redis-" + m.ID }

// shopStep and shopTarget are their part of the spec.
func (p *plan) shopStep(m masterPlan) string {
	if p.Shop == nil {
		return ""
	}
	return fmt.Sprintf("          - {name: shopify, target: shop, timeout: %s, shopify_metafields: {namespace: %s, values: {%s: \"redis://{{.New}}/0\", zone: \"{{.Zone}}\"}}}\n",
		p.Act, shopNamespace(m), shopKey)
}

func (p *plan) shopTarget() string {
	if p.Shop == nil {
		return ""
	}
	return fmt.Sprintf("  shop: {hold: %s, rate: %d, shopify: {shop: example.myshopify.com, api_version: 2026-10, token: \"env:SHOP\", endpoint: \"http://%s:80\"}}\n",
		p.Hold, p.Rate, shopHost)
}

func (r *run) startShop() error {
	if r.plan.Shop == nil {
		return nil
	}
	var err error
	if r.shop, err = shopify.New(shopify.Config{Knobs: &r.plan.Shop.Knobs}); err != nil {
		return err
	}
	r.shop.AddToken(shopToken)
	for _, f := range r.plan.Shop.Faults {
		if _, err := r.shop.AddFault(f); err != nil {
			return err
		}
	}
	r.shopServer, err = r.serve(shopHost, r.shop.Handler())
	return err
}

func (r *run) closeShop() {
	if r.shop != nil {
		_ = r.shop.Close()
	}
	if r.shopServer != nil {
		_ = r.shopServer.Close()
	}
}

// healShop ends the shop's faults. What it does by nature stays.
func (r *run) healShop() {
	if r.shop != nil {
		r.shop.ClearFaults()
	}
}

// shopComing lists writes that are still on their way.
func (r *run) shopComing() (why []string) {
	if r.shop == nil {
		return nil
	}
	for _, c := range r.shop.Journal(0).Calls {
		if c.Write() && c.Phase != shopify.PhaseAnswered && c.Phase != shopify.PhaseDropped && !strings.Contains(c.Fault, string(shopify.DoHang)) {
			why = append(why, fmt.Sprintf("call %d of the shop is %s", c.Seq, c.Phase))
		}
	}
	return why
}

// shopped judges the shop: of a fenced object nothing is ever stale, out of
// order or changed twice, whatever was late; and in the end it says what stands.
func (r *run) shopped(state fsm.State) {
	if r.shop == nil {
		return
	}
	var log []shopify.LoggedAction
	for _, a := range state.AllActions() {
		if a.Step.Kind != "shopify_metafields" {
			continue
		}
		l := shopify.LoggedAction{ID: string(a.ID), State: a.Phase.String(), Claims: a.Attempts}
		if a.Effect != 0 {
			l.Effect = a.Effect.String()
		}
		log = append(log, l)
	}
	p := r.shop.Prove(log)
	if !p.Sound() || p.Dropped > 0 || p.Repeats > 0 {
		r.fail("shop", "%+v", p)
	}
	r.figures.Shops, r.figures.ShopChanges, r.figures.ShopRefused = 1, p.Changes, p.Refused
	for _, m := range r.plan.Masters {
		stands, _ := state.Master(fsm.MasterID(m.ID))
		if stands.Number == 0 {
			continue
		}
		text, _ := r.shop.Value(shopNamespace(m), shopKey)
		var w shopify.Words
		_ = json.Unmarshal([]byte(text), &w) // another text is another value
		if last := r.lastShopped(state, m, stands.Number); w.Failover != last || last == "" {
			r.fail("shop", "%s says %s; the newest failover of %s with an action there is %q", shopNamespace(m), text, m.ID, last)
		}
	}
}

// lastShopped is the newest failover of a master whose action at the shop is
// done: the last one, unless that was a first view or a rebase without a plan.
func (r *run) lastShopped(state fsm.State, m masterPlan, number fsm.Number) string {
	for n := number; n > 0; n-- {
		id := fsm.FailoverID{Master: fsm.MasterID(m.ID), Number: n}
		if a, ok := state.Action(id.Action("shopify")); ok {
			if a.Phase != fsm.Done {
				return fmt.Sprintf("%s, %s: %s", a.ID, a.Phase, a.Reason)
			}
			return id.String()
		}
	}
	return ""
}
