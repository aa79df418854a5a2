package remote

import (
	"context"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// Bounds of dialling what a spec names.
const (
	dialsAtOnce = 16
	helloName   = "__sentinel__:hello" // the channel on which Sentinels greet
)

// Dial asks every Sentinel and every candidate of a spec what only they can
// tell. Only commands that read are sent: PING, INFO, SENTINEL MASTER, ACL
// WHOAMI, ACL DRYRUN. One that the spec's user may not run leaves a line in
// that server's ACL LOG, as any refusal does.
func Dial(ctx context.Context, spec *pointsmanv1.Spec) []show.Dialed {
	var all []show.Dialed
	for _, m := range spec.GetMasters() {
		for _, address := range m.GetSentinel().GetAddresses() {
			all = append(all, show.Dialed{Master: m.GetId(), Address: address, Sentinel: true})
		}
		for _, c := range m.GetCandidates() {
			all = append(all, show.Dialed{Master: m.GetId(), Address: c.GetAddress()})
		}
	}
	masters := map[string]*pointsmanv1.MasterSpec{}
	for _, m := range spec.GetMasters() {
		masters[m.GetId()] = m
	}
	free := make(chan struct{}, dialsAtOnce)
	var asked sync.WaitGroup
	for i := range all {
		free <- struct{}{}
		asked.Go(func() {
			defer func() { <-free }()
			ctx, cancel := context.WithTimeout(ctx, 2*dialWait)
			defer cancel()
			dialOne(ctx, &all[i], masters[all[i].Master])
		})
	}
	asked.Wait()
	return all
}

func dialOne(ctx context.Context, d *show.Dialed, m *pointsmanv1.MasterSpec) {
	s, r := m.GetSentinel(), m.GetRedis()
	l, err := loginOf(r.GetUser(), r.GetPassword(), r.GetTls())
	if d.Sentinel {
		l, err = loginOf(s.GetUser(), s.GetPassword(), s.GetTls())
	}
	if err != nil {
		d.Unresolved = err.Error()
		return
	}
	own := l.client(d.Address)
	defer own.Close()
	if err := own.Ping(ctx).Err(); err != nil {
		d.Error = err.Error()
		return
	}
	d.Own = publishing(ctx, own)
	anyone := l.nobody().client(d.Address)
	defer anyone.Close()
	d.Anyone = publishing(ctx, anyone)
	if d.Sentinel {
		d.Settings, err = words(ctx, own, "SENTINEL", "MASTER", s.GetName())
		d.SettingsError = text(err)
		return
	}
	info, err := own.Info(ctx, "replication").Result()
	d.SettingsError = text(err)
	d.Settings = infoWords(info)
}

// publishing asks whether a connection may publish greetings, without doing
// so.
func publishing(ctx context.Context, c *redis.Client) show.Publishing {
	if err := c.Ping(ctx).Err(); err != nil {
		return show.Publishing{Refused: strings.HasPrefix(err.Error(), "NOAUTH") || strings.HasPrefix(err.Error(), "WRONGPASS"), Error: err.Error()}
	}
	user, err := c.Do(ctx, "ACL", "WHOAMI").Text()
	if err != nil {
		return show.Publishing{Error: err.Error()}
	}
	said, err := c.Do(ctx, "ACL", "DRYRUN", user, "PUBLISH", helloName, "x").Text()
	if err != nil {
		return show.Publishing{User: user, Error: err.Error()}
	}
	return show.Publishing{User: user, Known: true, May: said == "OK"}
}

func infoWords(info string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(info) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ":"); found {
			all[name] = value
		}
	}
	return all
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
