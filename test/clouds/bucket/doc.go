// Package bucket has object stores that speak S3, for tests and measurements.
//
//	client ──▶ Front (breaks requests) ──▶ Fake (any buffer.Store, in this process)
//	                                   └─▶ Process (versitygw on a folder)
//
// Process is a real store in a process of its own, which can be killed and
// started again on what it wrote. It has no fsync: it shows what the loss of a
// process does, not that of power. Fake answers as S3 does and checks no
// signature. Front breaks single requests at the level of HTTP.
package bucket
