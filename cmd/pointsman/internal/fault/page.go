package fault

import (
	"fmt"
	"io"
	"strings"
)

const pageHead = `# Errors

This page is written by ` + "`make docs`" + ` from the tables that the program uses itself; tests hold them
against the reasons of the API, of the state machine and the codes of alerts.

An error of the command line has up to three parts: what happened, why, and what to type next.

` + "```" + `
error: put setting redis/cache/url
  why: the key is owned by a plan: step cache/url writes it (OWNED_BY_PLAN)
  try: pointsman spec get, to see the step that writes this key
` + "```" + `

Programs go by the exit code and by the word in brackets: the reason in the API's ` + "`google.rpc.ErrorInfo`" + `
(domain ` + "`pointsman`" + `). The sentences may change at any time.

## Exit codes

| code | meaning | what to do |
|---|---|---|
| 0 | ok | |
| 1 | failed: refused, not found, or broken | read the reason below |
| 2 | usage or configuration: the command line, a node file or a spec is wrong | correct it; the nearest word is named |
| 3 | a check failed: the cluster is unhealthy, a log does not verify, specs differ, a step is not ready | ` + "`pointsman status`" + ` |
| 4 | warnings only: it works, with less in reserve than it should have | ` + "`pointsman status`" + ` |
| 5 | no leader or time-out: nothing is wrong with the request | try again in a second |

## Errors of the command line itself

| what happened | cause | cure |
|---|---|---|
| no node answered | nobody listens at the endpoints, or a firewall is between | start the server; name the nodes with ` + "`--endpoints`" + ` or ` + "`POINTSMAN_ENDPOINTS`" + ` |
| endpoint is not host:port | ` + "`--endpoints`" + ` holds something else | ` + "`--endpoints 127.0.0.1:7801`" + ` |
| unknown command, flag, output, ... | a word is misspelt | the nearest word, or all there are, stand behind "try" |
| missing ..., unexpected argument | the number of arguments is wrong | the command's usage stands behind "try" |
| environment variable POINTSMAN_...: ... | a variable mirrors a flag and cannot be read as its value | unset it, or give the flag |
| FILE:LINE:COL: field: ... | a node file or a spec is wrong there | correct the place; all problems are told at once |
| watch broken, going on in ... | the stream ended; it is taken up where it was left | nothing |

`

// WritePage writes docs/errors.md.
func WritePage(w io.Writer) error {
	var b strings.Builder
	b.WriteString(pageHead)
	table(&b, "## Reasons\n\nThe word in brackets behind an error.", Reasons())
	b.WriteString("\n")
	table(&b, "## Alerts\n\nWhat `pointsman status` and `pointsman masters show` list.", Alerts())
	_, err := io.WriteString(w, b.String())
	return err
}

func table(b *strings.Builder, head string, all []Reason) {
	b.WriteString(head + "\n\n| word | cause | cure |\n|---|---|---|\n")
	for _, r := range all {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", r.Word, r.Cause, r.Cure)
	}
}

// nextByReason is what helps, by ErrorInfo reason; empty when nothing is known.
func nextByReason(word string) string {
	for _, r := range Reasons() {
		if r.Word == word {
			return r.Next
		}
	}
	return ""
}
