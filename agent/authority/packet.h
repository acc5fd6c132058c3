/*
 * packet: messages between the processes of countersignd, over SOCK_SEQPACKET pairs that the parent makes.
 *
 * A request travels with a ticket, one end of a fresh socket pair: the process that takes the request answers on the ticket. A process that dies with
 * the request in hand closes the ticket, so the asker always learns it. Several workers read one socket: the kernel hands each request to one of them.
 */
#ifndef AUTHORITY_PACKET_H
#define AUTHORITY_PACKET_H

#include "base/buf.h"

#define PACKET_VERSION 1
#define PACKET_BODY_MAX 16384

enum packet_type {
	PACKET_REPORT =
	    1, /* child → parent: u8 ready, text why, i64 next try, i64 mails waiting (role.h) */
	PACKET_OFFER, /* intake → worker: text mailbox, text id, i64 size; memfd; ticket → PACKET_OUTCOME */
	PACKET_OUTCOME, /* u8 enum outcome, u32 seconds (deferral) */
	PACKET_PARSE, /* worker → nursery: limits; memfd; ticket is a pipe that takes the packed message */
	PACKET_CLAIM, /* sender → worker: text id to come last, or none; ticket → PACKET_ITEM or PACKET_NONE */
	PACKET_ITEM,   /* text id, text sender, text recipient; memfd */
	PACKET_NONE,   /* i64 when the next is due, 0: nothing waits */
	PACKET_RESULT, /* sender → worker: text id, u8 enum submit_result, text what the server said, u8 whether the next is wanted; ticket → as of a claim: the next item, or none */
	PACKET_WAKE,   /* worker → sender: the outbox has news */
	PACKET_TYPES
};

struct packet {
	enum packet_type type;
	struct buf body;
	int fd;     /* what travels with it, or -1 */
	int ticket; /* or -1 */
};

/* Sends; fd and ticket may be -1 and stay the caller's. ERR_IO when the peer is gone, ERR_TEMPORARY when the queue is full. */
CHECKED enum err packet_send(
    int socket, enum packet_type type, struct bytes body, int fd, int ticket);
/* Receives one; ERR_TEMPORARY when there is none (non-blocking), ERR_NOINPUT at the end, ERR_PROTOCOL for anything else than a whole packet of this version. */
CHECKED enum err packet_receive(int socket, struct packet *out);
void packet_free(struct packet *packet);
/* Sends with a fresh ticket; *ticket_out is our end. */
CHECKED enum err packet_ask(
    int socket, enum packet_type type, struct bytes body, int fd, int *ticket_out);
/* The same, and waits for the one answer. ERR_TEMPORARY at the deadline or when the peer died. */
CHECKED enum err packet_call(int socket, enum packet_type type, struct bytes body, int fd,
    unsigned seconds, struct packet *answer_out);

#endif
