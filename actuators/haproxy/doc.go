// Package haproxy is the kind "haproxy": it gives one server of a backend the
// address of the new master, over the runtime API of one HAProxy process.
//
// One server that moves, and not one server per candidate of which one is
// ready: the move is one command, so there is no instant with no server or two,
// and nothing but the address can be half done.
//
//	look   get var proc.pm_<backend>__<server>; show servers state <backend>; get var ...; show info
//	write  set server <b>/<s> addr <ip> port <port>; experimental-mode on;
//	       set var proc.pm_... fmt <marker>; set server <b>/<s> health up;
//	       (shutdown sessions server <b>/<s>;) show info
//
// All of a line is one request on one connection. The marker of the failover
// stands in a variable of the process, which HAProxy has from 2.5 on; an older
// one answers that it has no such command, and is judged by the address alone.
// A look asks for the marker before and after the address: where the two
// differ, somebody was writing, and it looks again.
//
// "health up", since the address was down a moment ago where the server has
// checks, and HAProxy would let nobody through before "rise" checks have passed.
// Its checks go on and may say otherwise.
//
//	marker                  address as wanted   another address
//	this failover           applied             foreign: edited since
//	an older one            absent              absent
//	a newer one             newer               newer
//	of another cluster      newer               newer
//	none                    applied             absent
//	(another server of the backend may take traffic: foreign, whatever the marker)
//
// The class is readable: the runtime API compares nothing before it writes.
//
// What can go wrong, and why it is safe:
//   - An answer is lost: in doubt, the next read finds address and marker.
//   - HAProxy restarts or reloads: it forgets address and marker together. What is
//     found is the configuration's address without a marker, which is written
//     again at the next look; a human's edit leaves the marker and is reported.
//   - An old process lingers after a reload and serves its old sessions at the old
//     master: that is HAProxy's way, hard-stop-after bounds it.
//   - The answer is not one of those that are known: in doubt, a read decides. The
//     end of an answer is the line "Pid:"; what lacks it proves nothing.
//   - The socket's level is less than admin: refused before anything is written,
//     and told beforehand by Check.
//   - Another HAProxy stands at the address: the process id, which stands with
//     the action, tells.
package haproxy
