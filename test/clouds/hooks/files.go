package hooks

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pointsman/pointsman/test/clouds/bucket"
)

// Files writes the configuration of receivers and workers of one store.
type Files struct {
	Dir   string // takes them; it exists
	Store string // see Folder and Bucket
}

// Folder is a store that is a folder of this machine.
func Folder(path string) string { return fmt.Sprintf("{dir: {path: %q}}", path) }

// Bucket is a store that is the bucket of a process, with a prefix of every key.
func Bucket(p *bucket.Process, prefix string) string {
	return fmt.Sprintf("{s3: {endpoint: %q, region: %s, bucket: %s, prefix: %q, path_style: true, access_key: \"file:%[5]s/store.access\", secret_key: \"file:%[5]s/store.secret\"}}",
		p.Endpoint(), bucket.Region, bucket.Name, prefix, here)
}

// here stands for Files.Dir.
const here = "HERE"

// Receiver is what one receiver is told.
type Receiver struct {
	Name, Listen, Metrics string
	Spill                 bool   // into a folder of its own while the store fails
	More                  string // lines of the section receive, indented by two
}

// Receiver writes a receiver's file and answers its path.
func (f Files) Receiver(r Receiver) (string, error) {
	text := fmt.Sprintf("receive:\n  listen: %s\n  metrics: %s\n%s", r.Listen, r.Metrics, r.More)
	if r.Spill {
		text += fmt.Sprintf("  spill: {policy: when_store_fails, dir: %q}\n", filepath.Join(f.Dir, r.Name+".spill"))
	}
	return f.write(r.Name, text)
}

// Worker is what one worker is told.
type Worker struct {
	Name, Metrics, Pool string
	Handler             string // URL
	More                string // lines of the section work, indented by two
}

// Worker writes a worker's file and answers its path.
func (f Files) Worker(w Worker) (string, error) {
	return f.write(w.Name, fmt.Sprintf("work:\n  pool: %s\n  metrics: %s\n  handler: {http: {url: %q}}\n%s", w.Pool, w.Metrics, w.Handler, w.More))
}

func (f Files) write(name, rest string) (string, error) {
	for file, text := range map[string]string{"app.secret": Secret, "store.access": bucket.AccessKey, "store.secret": bucket.SecretKey} {
		path := filepath.Join(f.Dir, file)
		if _, err := os.Stat(path); err == nil {
			continue // who runs already may be reading it
		}
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			return "", err
		}
	}
	text := fmt.Sprintf("name: %s\nstore: %s\napps:\n  %s: {secrets: [{from: \"file:%s\"}]}\nlog: {level: warn}\n%s",
		name, strings.ReplaceAll(f.Store, here, f.Dir), App, filepath.Join(f.Dir, "app.secret"), rest)
	path := filepath.Join(f.Dir, name+".yaml")
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// Objects lists the files below a folder that is a store, or a bucket of one,
// whose keys begin with prefix. What vanishes meanwhile is left out.
func Objects(dir, prefix string) (list []string, err error) {
	at := filepath.Join(dir, filepath.FromSlash(prefix))
	err = filepath.WalkDir(at, func(path string, d fs.DirEntry, err error) error {
		switch {
		case os.IsNotExist(err):
			return nil
		case err != nil || d.IsDir():
			return err
		}
		key, err := filepath.Rel(dir, path)
		list = append(list, key)
		return err
	})
	return list, err
}
