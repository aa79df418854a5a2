// Command pointsman is the one program: coordinator, admin client and Sentinel
// hook. It picks the outside worlds that this build can act on and leaves the
// rest to package cli.
package main
