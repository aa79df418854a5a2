package coordinator_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pointsman/pointsman/coordinator"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/test/clouds/shopify"
)

const seedToken = "shprt_canaryseed"

// rotating makes the shop's app one whose tokens live a dozen seconds, of which
// two are used, and come with a refresh token.
func rotating(t *testing.T, spec *pointsmanv1.Spec) *shopify.Sim {
	t.Helper()
	shop := announce(t, spec)
	k := shop.Knobs()
	k.ShortLife = 12 * time.Second
	if err := shop.SetKnobs(k); err != nil {
		t.Fatal(err)
	}
	shop.AddRefresh(seedToken)
	file := filepath.Join(t.TempDir(), "refresh")
	if err := os.WriteFile(file, []byte(seedToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	target := spec.Targets["shop"].GetShopify()
	target.Refresh = &pointsmanv1.ShopifyRefresh{
		ClientId: target.GetClientCredentials().GetClientId(), ClientSecret: target.GetClientCredentials().GetClientSecret(), RefreshToken: "file:" + file,
	}
	target.ClientCredentials = nil
	return shop
}

// TestRefreshTokensAreReplacedByTheLeaderAlone takes a shop through failovers while
// leaders are lost with the answer to a replacement. No replacement is used before
// the log has it, the chain never breaks, and nobody can read what is kept.
func TestRefreshTokensAreReplacedByTheLeaderAlone(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("canarykey", 4)), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSights(t)
	tr := threeOf(t, func(_ int, o *coordinator.Options) { o.Node.ClusterKey = "file:" + key })
	spec := s.spec()
	balance(t, s, spec)
	shop := rotating(t, spec)
	tr.apply(spec)
	for n := 1; n <= 3; n++ {
		to := n % 2
		if _, err := shop.AddFault(shopify.Fault{Op: shopify.OpToken, Do: shopify.DoDrop, When: shopify.After}); err != nil {
			t.Fatal(err)
		}
		s.promote(to, uint64(n+1))
		if n == 2 {
			gone := tr.leader()
			tr.stop(gone)
			tr.start(gone)
		}
		eventually(t, fmt.Sprintf("failover %d", n), func(context.Context) error {
			text, _ := shop.Value("pointsman", "redis_connection")
			if w, _ := shopify.ParseWords(text); w.Failover != fmt.Sprintf("cache/%d", n) {
				return fmt.Errorf("the shop says %s", text)
			}
			return nil
		})
		tr.master("settled", func(m *pointsmanv1.Master) bool { return m.GetOpenActions() == 0 })
	}
	tr.sealed()
	for i := range tr.nodes {
		tr.stop(i)
	}
	nowhere(t, filepath.Dir(tr.files[0].GetDataDir()), "shprt_", "shpat_", "canarykey", "shpss_secret")
}

// sealed: the API shows that something is kept, not what, and lets nobody change it.
func (tr *trio) sealed() {
	tr.t.Helper()
	client := pointsmanv1.NewSettingServiceClient(tr.dial(tr.leader()))
	const name = "pointsman/sealed/shop"
	got, err := client.GetSetting(tr.t.Context(), &pointsmanv1.GetSettingRequest{Key: name})
	if err != nil || got.GetSetting().GetValue() != "[sealed]" || got.GetSetting().GetRevision() == 0 {
		tr.t.Errorf("%v: %v", got, err)
	}
	_, err = client.PutSetting(tr.t.Context(), &pointsmanv1.PutSettingRequest{Key: name, Value: "mine"})
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "for target shop") {
		tr.t.Errorf("put: %v", err)
	}
	_, err = client.DeleteSetting(tr.t.Context(), &pointsmanv1.DeleteSettingRequest{Key: name})
	if status.Code(err) != codes.FailedPrecondition {
		tr.t.Errorf("delete: %v", err)
	}
}

// nowhere looks for texts in every file below a folder.
func nowhere(t *testing.T, dir string, texts ...string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files++
		for _, text := range texts {
			if bytes.Contains(data, []byte(text)) {
				t.Errorf("%s holds %q", path, text)
			}
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files: %v", files, err)
	}
}

// TestNoClusterKeyIsSaidSo: without it the action is stuck and names what is missing.
func TestNoClusterKeyIsSaidSo(t *testing.T) {
	s, tr := newSights(t), three(t)
	spec := s.spec()
	spec.Targets = map[string]*pointsmanv1.Target{}
	rotating(t, spec)
	tr.apply(spec)
	s.promote(1, 2)
	eventually(t, "the reason", func(ctx context.Context) error {
		list, err := pointsmanv1.NewActionServiceClient(tr.dial(tr.leader())).ListActions(ctx, &pointsmanv1.ListActionsRequest{PageSize: 100})
		for _, a := range list.GetActions() {
			if a.GetKind() == "shopify_metafields" && a.GetState() == pointsmanv1.ActionState_ACTION_STATE_STUCK && strings.Contains(a.GetReason(), "cluster_key is not set") {
				return nil
			}
		}
		return fmt.Errorf("%v: %w", list.GetActions(), err)
	})
}
