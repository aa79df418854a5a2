// Package actuatortest is the suite that every kind of actuator passes: the law
// of package actuators, case by case, against a world that can be broken on
// purpose.
//
// A kind brings a World: an outside service made of parts of this process, with
// one object, two values for it, and a view of it that does not go through the
// actuator. Each case runs in a testing/synctest bubble with a world of its own,
// so delays cost nothing and a goroutine that is left behind fails the case.
//
// Around every call of an actuator the suite counts what reached the world: a
// Read, a Judge or a Follow with any request that could change something, or an
// Act with two, fails whichever case is running. Where a marker cannot ride in the
// write, an Act may send it before; the world counts such requests apart.
//
// What an actuator is besides (a Comparer) is held to its own law.
//
// A provider that is still at a write may have a look answer busy: the suite
// then looks again until it is not, and follows what Act says is waiting.
//
// What a kind declares of its object's class is held to cases of that class: a
// fenced one compares with the version in the claim, and versions never repeat;
// a keyed one sends the action's key, whichever attempt it is; a readable one
// can be read back; a blind one is sent once for each claim and tells doubt. A
// keyed one that nothing can read back (World.Unread) is asked for again until it
// is answered, and is done by that answer, which waits in the log.
//
// A world whose value is the same for every failover (World.Standing) is held to
// that: each finds it as it stands.
package actuatortest
