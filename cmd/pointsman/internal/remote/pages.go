package remote

import (
	"google.golang.org/protobuf/proto"

	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// maxPage is the largest page that a server gives.
const maxPage = 1000

// Message is a response: a message that says who answered.
type Message interface {
	proto.Message
	GetHeader() *pointsmanv1.ResponseHeader
}

// Page is a response that holds one page of a list.
type Page interface {
	Message
	GetNextPageToken() string
}

// Pages joins the pages of a list into one response, in their order. It ends
// at the last page, or when limit items are there; then the response keeps its
// page token. A limit of 0 means all. count tells the items of a response.
func Pages[P Page](limit int, count func(P) int, fetch func(token string, size int32) (P, error)) (P, error) {
	all, err := fetch("", pageSize(limit))
	if err != nil {
		return all, err
	}
	for all.GetNextPageToken() != "" && (limit <= 0 || count(all) < limit) {
		next, err := fetch(all.GetNextPageToken(), pageSize(limit-count(all)))
		if err != nil {
			return all, err
		}
		m := all.ProtoReflect()
		m.Clear(m.Descriptor().Fields().ByName("next_page_token"))
		m.Clear(m.Descriptor().Fields().ByName("header"))
		proto.Merge(all, next)
	}
	return all, nil
}

func pageSize(left int) int32 {
	if left <= 0 || left > maxPage {
		return maxPage
	}
	return int32(left)
}
