// Package mail keeps the official e-mail accounts (hộp thư công vụ) of the hub:
// accounts, mailboxes, messages and the outbound queue.
//
// It owns every table named mail_… and nothing else. A message's bytes are one
// blob, stored once for all its recipients; each recipient has a row that names
// the blob and carries what is his own: the per-delivery header lines, the
// flags, the UID and the MODSEQ. What IMAP asks for most (ENVELOPE,
// BODYSTRUCTURE, sizes, a preview) is parsed once, when the message is stored.
//
// The protocols live beside it: mail/smtpd takes mail in, mail/imapd shows it,
// mail/outbound sends it on. They translate; the rules stand here.
package mail
