/* Names as people type them against names as servers list them: the rules of netsession/_names.py,
   where they are told (docs/names.md), for whole pages. No Python. */

#ifndef NETSESSION_NAME_MATCH_H
#define NETSESSION_NAME_MATCH_H

#include "ip_address.h"

/* Part of a name, not terminated; surrogate pairs are never split between two. */
typedef struct {
    const utf16_unit *units;
    size_t length;
} name_slice;

/* How well a listed name fits a typed one; _names.NO and so on. */
typedef enum {
    NAME_NO,
    NAME_MAY_FIT, /* by one of the two upcase tables only */
    NAME_FITS,
} name_fit;

/* What a user may be, typed or listed: DOMAIN\account, account@realm, account. */
typedef struct {
    bool has_domain;
    name_slice domain, account;
} user_reading;

#define USER_READINGS 2

typedef struct {
    name_slice typed;
    bool is_wild; /* holds * or ? that are wildcards */
    int count;
    user_reading readings[USER_READINGS];
} user_pattern;

typedef struct {
    name_slice bare; /* without backslashes and brackets */
    bool is_wild;
    bool is_address;
    ip_address address; /* where it is one */
} client_pattern;

/* A listed user, looked through once for all patterns. */
typedef struct {
    name_slice name;
    bool has_separators; /* any of \ @ + / */
    bool has_at;
} listed_user;

/* `units` may be NULL, which is as good as empty: no pattern fits. */
listed_user name_listed_user(const utf16_unit *units);

/* `*elsewhere` is set to whether the account fits and only its domain does not. */
name_fit user_pattern_fit(const user_pattern *pattern, const listed_user *listed, bool *elsewhere);

/* `bare` is the listed name without backslashes and brackets. */
name_fit client_pattern_fit(const client_pattern *pattern, name_slice bare);

/* A listed client without leading backslashes, and without the brackets of an IPv6 address:
   records.bare_client(). */
name_slice name_bare_client(const utf16_unit *listed);

/* Whether a listed user is a computer's account. */
bool name_is_machine_account(const listed_user *listed);

#endif
