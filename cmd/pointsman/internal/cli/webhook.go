package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pointsman/pointsman/cmd/pointsman/internal/fault"
	"github.com/pointsman/pointsman/coordinator/config"
	pointsmanv1 "github.com/pointsman/pointsman/proto/pointsman/v1"
	"github.com/pointsman/pointsman/webhook/buffer"
	"github.com/pointsman/pointsman/webhook/buffer/s3"
)

// errNoStore is returned for a kind of store that this program does not have.
var errNoStore = errors.New("this kind of store is not there")

func (a *App) webhookCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "webhook", Short: "Receive webhooks, work them, and see to what was set aside", RunE: group, Args: subcommandOnly}
	cmd.AddCommand(a.webhookReceive(), a.webhookWork(), a.webhookDlq(), a.webhookReplay())
	return cmd
}

// webhookFlag is the webhook file of a command.
func webhookFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "config", "", "the webhook file")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
}

// loadWebhook reads the webhook file.
func (a *App) loadWebhook(cmd *cobra.Command, path string) (*pointsmanv1.WebhookConfig, *config.File, error) {
	if path == "" {
		return nil, nil, fault.Wrong("no webhook file was given", cmd.CommandPath()+" --config webhook.yaml")
	}
	c, file, err := config.LoadWebhook(path)
	return c, file, a.badConfig(err)
}

// openStore opens the store of a webhook file.
func openStore(s *pointsmanv1.WebhookStore) (buffer.Store, error) {
	switch kind := s.GetKind().(type) {
	case *pointsmanv1.WebhookStore_Dir:
		return buffer.OpenDir(kind.Dir.GetPath())
	case *pointsmanv1.WebhookStore_S3:
		return openBucket(kind.S3)
	default:
		return nil, fmt.Errorf("store %T: %w", kind, errNoStore)
	}
}

// openBucket makes the store of a bucket; it asks nothing of it.
func openBucket(b *pointsmanv1.S3Store) (buffer.Store, error) {
	ca, err := config.ResolveSecret(b.GetCa())
	if err != nil {
		return nil, fmt.Errorf("store s3: ca: %w", err)
	}
	return s3.Open(s3.Config{
		Endpoint: b.GetEndpoint(), Region: b.GetRegion(), Bucket: b.GetBucket(), Prefix: b.GetPrefix(), PathStyle: b.GetPathStyle(),
		AccessKey: b.GetAccessKey(), SecretKey: b.GetSecretKey(), Resolve: config.ResolveSecret, CA: []byte(ca),
	})
}
