package shopify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pointsman/pointsman/actuators"
)

const (
	// maxVersions bounds the API versions that a problem names.
	maxVersions = 8
	// lowShare is the part of the points, one in so many, below which they are low.
	lowShare = 10
)

type apiVersion struct {
	Handle    string `json:"handle"`
	Supported bool   `json:"supported"`
}

// Check asks for the versions that the shop's API serves, and
// what is left of the app's points there, which others of the app use too. A version
// that is no longer served is answered by another one, without a word but a
// header. Which scope app-data metafields need is not published, and Shopify has
// no call that tells what a write would be refused for.
func (a *fields) Check(ctx context.Context, _ actuators.Subject) ([]string, error) {
	var data struct {
		Versions []apiVersion `json:"publicApiVersions"`
	}
	asked := call{name: "read API versions", query: "query PointsmanVersions { publicApiVersions { handle supported } }", out: &data}
	s, err := a.client.do(ctx, asked)
	if err != nil {
		return nil, err
	}
	return append(s.cost.low(), a.client.unserved(data.Versions)...), nil
}

// unserved says what is wrong with the version that is asked for.
func (c *client) unserved(all []apiVersion) []string {
	var served []string
	for _, v := range all {
		if v.Supported {
			served = append(served, v.Handle)
		}
	}
	slices.Sort(served)
	switch {
	case len(served) == 0: // not told
		return nil
	case !slices.Contains(served, c.version):
		return []string{fmt.Sprintf("Shopify does not serve API version %s; it serves %s", c.version, c.quote(strings.Join(served[:min(len(served), maxVersions)], ", ")))}
	case served[0] == c.version && len(served) > 1:
		return []string{fmt.Sprintf("API version %s is the oldest that Shopify serves, and ends with the quarter; it serves %s too", c.version, c.quote(served[len(served)-1]))}
	}
	return nil
}
