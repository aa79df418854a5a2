package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/remote"
	"github.com/pointsman/pointsman/cmd/pointsman/internal/show"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
)

// maxValue is the longest value of a setting, in bytes.
const maxValue = 64 << 10

func (a *App) settingsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "settings", Short: "Read and write replicated settings", RunE: group, Args: subcommandOnly}
	cmd.AddCommand(a.settingsList(), a.settingsGet(), a.settingsPut(), a.settingsDelete(), a.settingsWatch())
	return cmd
}

func (a *App) settingsList() *cobra.Command {
	w := &watching{}
	cmd := &cobra.Command{
		Use: "list [PREFIX]", Short: "List settings by key", Args: between(0, "PREFIX"),
		ValidArgsFunction: a.complete(settingKeys),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, w, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				ctx, cancel := s.Call(ctx)
				defer cancel()
				resp, err := s.Settings(ctx, first(args), 0)
				if err != nil {
					return fault.At("list settings", err)
				}
				if !p.Format.ForPeople() {
					return p.Message(resp)
				}
				p.Header(resp.GetHeader())
				p.Settings(resp.GetSettings())
				return nil
			})
		},
	}
	w.flags(cmd)
	return cmd
}

func (a *App) settingsGet() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use: "get KEY", Short: "Show one setting", Args: exactly("KEY"),
		Example:           "  pointsman settings get redis/cache/url --raw",
		ValidArgsFunction: a.complete(settingKeys),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, nil, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				ctx, cancel := s.Call(ctx)
				defer cancel()
				resp, err := pointsmanv1.NewSettingServiceClient(s.Conn()).GetSetting(ctx,
					&pointsmanv1.GetSettingRequest{Read: s.Read(), Key: args[0]})
				if err != nil {
					return fault.About("get setting "+args[0], "pointsman settings list", err)
				}
				if raw {
					_, err := fmt.Fprintln(p.Out, cmp.Or(resp.GetSetting().GetWord(), resp.GetSetting().GetValue()))
					return err
				}
				return showSetting(p, resp, resp.GetSetting())
			})
		},
	}
	cmd.Flags().BoolVar(&raw, "raw", false, "only the value, for scripts; of a built-in state its word")
	return cmd
}

func showSetting(p *show.Printer, resp remote.Message, s *pointsmanv1.Setting) error {
	if !p.Format.ForPeople() {
		return p.Message(resp)
	}
	p.Header(resp.GetHeader())
	p.Settings([]*pointsmanv1.Setting{s})
	return nil
}

// expectation is the revision that a setting must have for a change.
type expectation struct {
	revision int64
	dry      bool
}

func (e *expectation) flags(cmd *cobra.Command) {
	cmd.Flags().Int64Var(&e.revision, "if-revision", -1, "change only at this revision of the key; 0: only if it is not set; -1: any")
	cmd.Flags().BoolVar(&e.dry, "dry-run", false, "check everything, change nothing")
}

func (e *expectation) wanted() *uint64 {
	if e.revision < 0 {
		return nil
	}
	r := uint64(e.revision)
	return &r
}

func (a *App) settingsPut() *cobra.Command {
	e := &expectation{}
	cmd := &cobra.Command{
		Use: "put KEY VALUE", Short: "Set a key; VALUE - reads it from stdin", Args: exactly("KEY", "VALUE"),
		Long:              "Sets a key. One that a plan of the spec writes is refused: the next failover would undo it.",
		ValidArgsFunction: a.complete(settingKeys),
		RunE: func(cmd *cobra.Command, args []string) error {
			value, err := a.valueOf(args[1])
			if err != nil {
				return err
			}
			return a.ask(cmd, nil, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				ctx, cancel := s.Call(ctx)
				defer cancel()
				resp, err := pointsmanv1.NewSettingServiceClient(s.Conn()).PutSetting(ctx, &pointsmanv1.PutSettingRequest{
					Key: args[0], Value: value, ExpectedRevision: e.wanted(), ValidateOnly: e.dry})
				if err != nil {
					return fault.At("put setting "+args[0], err)
				}
				tellDry(p, e.dry)
				return showSetting(p, resp, resp.GetSetting())
			})
		},
	}
	e.flags(cmd)
	return cmd
}

func tellDry(p *show.Printer, dry bool) {
	if dry {
		fmt.Fprintln(p.Talk, "dry run: nothing was changed")
	}
}

func (a *App) valueOf(arg string) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	value, err := io.ReadAll(io.LimitReader(a.In, maxValue+1))
	if err != nil {
		return "", fault.At("read the value from stdin", err)
	}
	if len(value) > maxValue {
		return "", fault.Wrong(fmt.Sprintf("the value is longer than %d bytes", maxValue), "keep it elsewhere and set a reference to it")
	}
	return string(value), nil
}

func (a *App) settingsDelete() *cobra.Command {
	e := &expectation{}
	cmd := &cobra.Command{
		Use: "delete KEY", Short: "Remove a key", Args: exactly("KEY"),
		ValidArgsFunction: a.complete(settingKeys),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.ask(cmd, nil, func(ctx context.Context, s *remote.Session, p *show.Printer) error {
				ctx, cancel := s.Call(ctx)
				defer cancel()
				resp, err := pointsmanv1.NewSettingServiceClient(s.Conn()).DeleteSetting(ctx, &pointsmanv1.DeleteSettingRequest{
					Key: args[0], ExpectedRevision: e.wanted(), ValidateOnly: e.dry})
				if err != nil {
					return fault.About("delete setting "+args[0], "pointsman settings list", err)
				}
				tellDry(p, e.dry)
				if !p.Format.ForPeople() {
					return p.Message(resp)
				}
				p.Header(resp.GetHeader())
				_, err = fmt.Fprintf(p.Out, "%s deleted\n", args[0])
				return err
			})
		},
	}
	e.flags(cmd)
	return cmd
}

func (a *App) settingsWatch() *cobra.Command {
	return &cobra.Command{
		Use: "watch [PREFIX]", Short: "Follow settings as they change, until Ctrl-C", Args: between(0, "PREFIX"),
		ValidArgsFunction: a.complete(settingKeys),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.open()
			if err != nil {
				return err
			}
			defer s.Close()
			p := a.printer()
			p.Stream = true
			return a.follow(s.Stream(cmd.Context()), func(ctx context.Context, token string) (string, error) {
				return watchSettings(ctx, s, p, first(args), token)
			})
		},
	}
}

func watchSettings(ctx context.Context, s *remote.Session, p *show.Printer, prefix, token string) (string, error) {
	stream, err := pointsmanv1.NewSettingServiceClient(s.Conn()).WatchSettings(ctx,
		&pointsmanv1.WatchSettingsRequest{ResumeToken: token, Prefix: prefix})
	if err != nil {
		return token, fault.At("watch settings", err)
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			return token, fault.At("watch settings", ended(err))
		}
		token = resp.GetResumeToken()
		if resp.GetBookmark() != nil {
			continue
		}
		if p.Format.ForPeople() {
			p.SettingEvent(resp.GetSetting(), resp.GetDeleted())
		} else if err := p.Message(resp); err != nil {
			return token, err
		}
	}
}
