package api

import (
	"strconv"

	"github.com/pointsman/pointsman/fsm"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// sealedShown stands for a value that the program keeps sealed.
const sealedShown = "[sealed]"

func settingMessage(v fsm.Setting) *pointsmanv1.Setting {
	m := &pointsmanv1.Setting{
		Key:        v.Key,
		Value:      v.Value,
		Revision:   v.Revision,
		Source:     string(v.Owner),
		UpdateTime: stamp(v.Wall),
		Etag:       strconv.FormatUint(v.Revision, 10),
	}
	if _, ok := fsm.Sealed(v.Key); ok {
		m.Value = sealedShown
	}
	if v.Owner == fsm.BuiltIn {
		m.Word = v.Plain()
	}
	return m
}
