#include "name_match.h"

#include "upcase.h"

#define NOWHERE SIZE_MAX

static name_fit
fit_of_tables(unsigned tables)
{
    return tables == UPCASE_BOTH ? NAME_FITS : tables != 0 ? NAME_MAY_FIT : NAME_NO;
}

static name_fit
worse(name_fit one, name_fit other)
{
    return one < other ? one : other;
}

static name_fit
better(name_fit one, name_fit other)
{
    return one > other ? one : other;
}

/* --- slices -------------------------------------------------------------------------------- */

static size_t
find_unit(name_slice name, utf16_unit unit)
{
    for (size_t i = 0; i < name.length; i++) {
        if (name.units[i] == unit) {
            return i;
        }
    }
    return NOWHERE;
}

static size_t
find_last_unit(name_slice name, utf16_unit unit)
{
    for (size_t i = name.length; i-- > 0;) {
        if (name.units[i] == unit) {
            return i;
        }
    }
    return NOWHERE;
}

static name_slice
before(name_slice name, size_t at)
{
    return (name_slice){name.units, at};
}

static name_slice
behind(name_slice name, size_t at)
{
    return (name_slice){name.units + at + 1, name.length - at - 1};
}

/* By which tables two names are the same, unit by unit. */
static unsigned
same_tables(name_slice typed, name_slice listed)
{
    unsigned tables = typed.length == listed.length ? UPCASE_BOTH : 0;
    for (size_t i = typed.length; tables != 0 && i-- > 0;) { /* names begin alike, if anything */
        if (typed.units[i] != listed.units[i]) {
            tables &= upcase_tables(typed.units[i], listed.units[i]);
        }
    }
    return tables;
}

/* --- wildcards ----------------------------------------------------------------------------- */

static bool
is_separator(utf16_unit unit)
{
    return unit == '\\' || unit == '@' || unit == '+' || unit == '/';
}

/* Units of the character at `at`: a surrogate pair is one character. */
static size_t
width_at(name_slice text, size_t at)
{
    return (text.units[at] & 0xFC00u) == 0xD800u && at + 1 < text.length
                && (text.units[at + 1] & 0xFC00u) == 0xDC00u
             ? 2
             : 1;
}

/* Whether the pattern's character at `place` is the text's at `at`, which has `width` units. */
static bool
same_character(name_slice pattern, size_t place, name_slice text, size_t at, size_t width,
               unsigned table)
{
    if (width == 2) {
        return place + 1 < pattern.length && pattern.units[place] == text.units[at]
            && pattern.units[place + 1] == text.units[at + 1];
    }
    return upcase_unit(pattern.units[place], table) == upcase_unit(text.units[at], table);
}

/* Whether a pattern is a text. `barred`: no wildcard stands for a separator. Only the latest * is
   tried anew, which is enough, so that the steps are no more than the product of both lengths. */
static bool
matches(name_slice pattern, name_slice text, bool barred, unsigned table)
{
    size_t place = 0, at = 0;
    size_t star = NOWHERE, resume = 0; /* the latest *, and what comes after what it stands for */
    while (at < text.length) {
        size_t width = width_at(text, at);
        utf16_unit sign = place < pattern.length ? pattern.units[place] : 0;
        if (sign == '*') {
            star = place++;
            resume = at;
        }
        else if (sign != 0 && same_character(pattern, place, text, at, width, table)) {
            place += width;
            at += width;
        }
        else if (sign == '?' && !(barred && is_separator(text.units[at]))) {
            place++;
            at += width;
        }
        else if (star != NOWHERE && !(barred && is_separator(text.units[resume]))) {
            resume += width_at(text, resume);
            at = resume;
            place = star + 1;
        }
        else {
            return false;
        }
    }
    while (place < pattern.length && pattern.units[place] == '*') {
        place++;
    }
    return place == pattern.length;
}

static bool
is_ascii(name_slice text)
{
    utf16_unit bits = 0;
    for (size_t i = 0; i < text.length; i++) { /* no early exit: compilers vectorise this */
        bits |= text.units[i];
    }
    return bits < 0x80;
}

static name_fit
wild_fit(name_slice pattern, name_slice listed, bool barred)
{
    bool by_samba = matches(pattern, listed, barred, UPCASE_SAMBA);
    /* The tables agree on ASCII, which most names are. */
    bool by_windows = is_ascii(listed) && is_ascii(pattern)
                        ? by_samba
                        : matches(pattern, listed, barred, UPCASE_WINDOWS);
    return by_samba && by_windows ? NAME_FITS : by_samba || by_windows ? NAME_MAY_FIT : NAME_NO;
}

/* --- users --------------------------------------------------------------------------------- */

static name_fit
compare_user(const user_pattern *pattern, name_slice typed, name_slice listed)
{
    return pattern->is_wild ? wild_fit(typed, listed, true)
                            : fit_of_tables(same_tables(typed, listed));
}

/* What a listed name may be, the likeliest first: an account may be called by an e-mail address,
   and then its @ begins no realm. */
static int
listed_readings(name_slice listed, user_reading readings[USER_READINGS])
{
    int count = 0;
    size_t backslash = find_unit(listed, '\\');
    if (backslash != NOWHERE) {
        readings[0] = (user_reading){true, before(listed, backslash), behind(listed, backslash)};
        return 1;
    }
    size_t at = find_last_unit(listed, '@');
    if (at != NOWHERE && at > 0 && at + 1 < listed.length) {
        readings[count++] = (user_reading){true, behind(listed, at), before(listed, at)};
    }
    readings[count++] = (user_reading){.has_domain = false, .account = listed};
    return count;
}

/* A realm fits the NetBIOS domain that is its first label, as domains are named by default. */
static name_fit
fit_domain(const user_pattern *pattern, const user_reading *typed, const user_reading *listed)
{
    if (!typed->has_domain || !listed->has_domain) {
        return NAME_FITS;
    }
    name_fit whole = compare_user(pattern, typed->domain, listed->domain);
    size_t dot = find_unit(typed->domain, '.');
    size_t their_dot = find_unit(listed->domain, '.');
    if (whole != NAME_NO || (dot == NOWHERE) == (their_dot == NOWHERE)) {
        return whole;
    }
    return compare_user(pattern, dot == NOWHERE ? typed->domain : before(typed->domain, dot),
                        their_dot == NOWHERE ? listed->domain : before(listed->domain, their_dot));
}

/* CORP+alice, CORP/alice: winbind's other separators, which account names may contain. */
static name_fit
fit_separated(const user_pattern *pattern, name_slice listed)
{
    static const utf16_unit separators[] = {'+', '/'};
    name_fit best = NAME_NO;
    for (int i = 0; i < 2; i++) {
        size_t at = find_unit(listed, separators[i]);
        if (at == NOWHERE) {
            continue;
        }
        user_reading theirs = {true, before(listed, at), behind(listed, at)};
        for (int j = 0; j < pattern->count; j++) {
            const user_reading *typed = &pattern->readings[j];
            name_fit fit = worse(compare_user(pattern, typed->account, theirs.account),
                                 fit_domain(pattern, typed, &theirs));
            best = better(best, typed->has_domain ? fit : worse(fit, NAME_MAY_FIT));
        }
    }
    return best;
}

listed_user
name_listed_user(const utf16_unit *units)
{
    listed_user listed = {.name = {units, units == NULL ? 0 : utf16_length(units)}};
    for (size_t i = 0; i < listed.name.length; i++) {
        listed.has_separators |= is_separator(units[i]);
        listed.has_at |= units[i] == '@';
    }
    return listed;
}

/* Whether a listed name cannot fit, as most are found not to: in every reading but user@realm the
   account comes last. */
static bool
ends_otherwise(const user_pattern *pattern, const listed_user *listed)
{
    name_slice account = pattern->readings[0].account, name = listed->name;
    if (pattern->is_wild || listed->has_at) {
        return false;
    }
    name_slice end = {name.units + name.length - account.length, account.length};
    return name.length < account.length || same_tables(account, end) == 0;
}

/* Of a listed name that is nothing but an account; domains fit where only one is known. */
static name_fit
fit_plain(const user_pattern *pattern, name_slice listed)
{
    name_fit best = NAME_NO;
    for (int i = 0; i < pattern->count; i++) {
        best = better(best, compare_user(pattern, pattern->readings[i].account, listed));
    }
    return best;
}

name_fit
user_pattern_fit(const user_pattern *pattern, const listed_user *listed, bool *elsewhere)
{
    *elsewhere = false;
    if (listed->name.length == 0) {
        return NAME_NO;
    }
    if (!listed->has_separators) {
        return fit_plain(pattern, listed->name);
    }
    if (ends_otherwise(pattern, listed)) {
        return NAME_NO;
    }
    name_fit best = compare_user(pattern, pattern->typed, listed->name);
    if (best != NAME_NO) {
        return best;
    }
    user_reading theirs[USER_READINGS];
    int count = listed_readings(listed->name, theirs);
    bool account_fits = false;
    for (int i = 0; i < pattern->count; i++) {
        for (int j = 0; j < count; j++) {
            const user_reading *typed = &pattern->readings[i];
            name_fit fit = compare_user(pattern, typed->account, theirs[j].account);
            if (fit != NAME_NO) {
                account_fits = true;
                best = better(best, worse(fit, fit_domain(pattern, typed, &theirs[j])));
            }
        }
    }
    *elsewhere = account_fits && best == NAME_NO;
    return account_fits ? best : fit_separated(pattern, listed->name);
}

/* The account comes last or, in account@realm, before the last @. */
bool
name_is_machine_account(const listed_user *listed)
{
    user_reading readings[USER_READINGS];
    name_slice name = listed->name;
    if (name.length > 0 && name.units[name.length - 1] == '$') {
        return true;
    }
    if (!listed->has_at) {
        return false;
    }
    (void)listed_readings(name, readings);
    name_slice account = readings[0].account;
    return account.length > 0 && account.units[account.length - 1] == '$';
}

/* --- clients ------------------------------------------------------------------------------- */

/* Two colons or more, and before a zone nothing but what addresses consist of. */
static bool
may_be_ipv6(name_slice text)
{
    int colons = 0;
    for (size_t i = 0; i < text.length && text.units[i] != '%'; i++) {
        utf16_unit unit = text.units[i];
        bool is_hex = (unit >= '0' && unit <= '9') || (unit >= 'a' && unit <= 'f')
                   || (unit >= 'A' && unit <= 'F');
        if (!is_hex && unit != ':' && unit != '.') {
            return false;
        }
        colons += unit == ':';
    }
    return colons > 1;
}

name_slice
name_bare_client(const utf16_unit *listed)
{
    while (*listed == '\\') {
        listed++;
    }
    name_slice name = {listed, utf16_length(listed)};
    if (name.length > 1 && name.units[0] == '[' && name.units[name.length - 1] == ']') {
        name_slice inside = {name.units + 1, name.length - 2};
        return may_be_ipv6(inside) ? inside : name;
    }
    return name;
}

/* An address's zone, "" where it has none, means it on every link. */
static name_fit
fit_zones(const ip_address *typed, const ip_address *listed)
{
    if (typed->zone_length == 0 || listed->zone_length == 0) {
        return NAME_FITS;
    }
    if (typed->zone_length != listed->zone_length) {
        return NAME_NO;
    }
    for (size_t i = 0; i < typed->zone_length; i++) {
        if (typed->zone[i] != listed->zone[i]) {
            return NAME_NO;
        }
    }
    return NAME_FITS;
}

/* An IPv6 address in its usual spelling, without its zone. */
static name_fit
fit_wild_address(const client_pattern *pattern, name_slice bare)
{
    ip_address address;
    utf16_unit text[IP_TEXT_UNITS];
    if (find_unit(bare, ':') == NOWHERE || !ip_address_parse(bare.units, bare.length, &address)) {
        return NAME_NO;
    }
    name_slice usual = {text, ip_address_format(&address, text)};
    return wild_fit(pattern->bare, usual, false);
}

name_fit
client_pattern_fit(const client_pattern *pattern, name_slice bare)
{
    ip_address address;
    if (pattern->is_wild) {
        name_fit fit = wild_fit(pattern->bare, bare, false);
        return fit == NAME_FITS ? fit : better(fit, fit_wild_address(pattern, bare));
    }
    if (!pattern->is_address) {
        return fit_of_tables(same_tables(pattern->bare, bare));
    }
    if (!ip_address_parse(bare.units, bare.length, &address)
        || !ip_address_same(&address, &pattern->address)) {
        return NAME_NO;
    }
    return fit_zones(&pattern->address, &address);
}
