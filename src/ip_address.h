/* IP addresses as text: one value for all spellings of an address. No Python. */

#ifndef NETSESSION_IP_ADDRESS_H
#define NETSESSION_IP_ADDRESS_H

#include "utf16.h"

#define IP_TEXT_UNITS 39 /* eight groups of four digits, seven colons */

typedef struct {
    uint8_t bytes[16]; /* an IPv4 address as ::ffff:a.b.c.d, which is the same machine */
    const utf16_unit *zone;
    size_t zone_length; /* 0: without a zone */
} ip_address;

/* Whether a text is an address: four decimal numbers without leading zeros, or IPv6 (RFC 4291 2.2)
   that may have a zone (RFC 4007 11), as Python's ipaddress reads both. The zone stays where it
   is in the text. */
bool ip_address_parse(const utf16_unit *text, size_t length, ip_address *address);

/* The address in its usual spelling (RFC 5952), without zone, an IPv4 address as such; returns how
   many units were written. */
size_t ip_address_format(const ip_address *address, utf16_unit text[IP_TEXT_UNITS]);

bool ip_address_same(const ip_address *left, const ip_address *right);

#endif
