#include "ip_address.h"

#include <string.h>

#define GROUPS 8

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

bool
ip_address_same(const ip_address *left, const ip_address *right)
{
    return memcmp(left->bytes, right->bytes, sizeof(left->bytes)) == 0;
}

/* --- reading ------------------------------------------------------------------------------- */

/* A number up to 255 without leading zeros at `*at`, which is moved behind it. */
static bool
parse_octet(const utf16_unit *text, size_t length, size_t *at, uint8_t *octet)
{
    size_t start = *at;
    unsigned value = 0;
    while (*at < length && text[*at] >= '0' && text[*at] <= '9' && *at - start < 4) {
        value = value * 10 + (text[(*at)++] - (unsigned)'0');
    }
    size_t digits = *at - start;
    *octet = (uint8_t)value;
    return digits > 0 && value <= 255 && (digits == 1 || text[start] != '0');
}

static bool
parse_ipv4(const utf16_unit *text, size_t length, uint8_t bytes[4])
{
    size_t at = 0;
    for (int i = 0; i < 4; i++) {
        if (i > 0 && (at == length || text[at++] != '.')) {
            return false;
        }
        if (!parse_octet(text, length, &at, &bytes[i])) {
            return false;
        }
    }
    return at == length;
}

/* The value of a hexadecimal digit; 16 for what is none. */
static unsigned
hex_value(utf16_unit unit)
{
    return unit >= '0' && unit <= '9' ? unit - (unsigned)'0'
         : unit >= 'a' && unit <= 'f' ? unit - (unsigned)'a' + 10
         : unit >= 'A' && unit <= 'F' ? unit - (unsigned)'A' + 10
                                      : 16;
}

typedef struct {
    uint8_t bytes[2 * GROUPS];
    size_t count; /* groups so far */
    size_t gap;   /* how many of them are before "::"; GROUPS: there is none */
} ipv6_groups;

static void
add_group(ipv6_groups *groups, unsigned value)
{
    groups->bytes[2 * groups->count] = (uint8_t)(value >> 8);
    groups->bytes[2 * groups->count + 1] = (uint8_t)value;
    groups->count++;
}

/* The next group at `*at`, or the IPv4 address that is the last two. */
static bool
parse_group(const utf16_unit *text, size_t length, size_t *at, ipv6_groups *groups)
{
    size_t start = *at;
    unsigned value = 0;
    while (*at < length && *at - start < 5 && hex_value(text[*at]) < 16) {
        value = value * 16 + hex_value(text[(*at)++]);
    }
    if (*at < length && text[*at] == '.') {
        uint8_t quad[4];
        if (groups->count > GROUPS - 2 || !parse_ipv4(text + start, length - start, quad)) {
            return false;
        }
        add_group(groups, (unsigned)quad[0] << 8 | quad[1]);
        add_group(groups, (unsigned)quad[2] << 8 | quad[3]);
        *at = length;
        return true;
    }
    if (*at == start || *at - start > 4 || groups->count == GROUPS) {
        return false;
    }
    add_group(groups, value);
    return true;
}

/* The colons behind a group at `*at`: one before another group, or "::", once, which stands for
   one group at least. */
static bool
parse_colons(const utf16_unit *text, size_t length, size_t *at, ipv6_groups *groups)
{
    if (text[(*at)++] != ':' || *at == length) {
        return false;
    }
    if (text[*at] == ':') {
        if (groups->gap != GROUPS || groups->count == GROUPS) {
            return false;
        }
        groups->gap = groups->count;
        (*at)++;
    }
    return true;
}

static bool
parse_ipv6(const utf16_unit *text, size_t length, uint8_t bytes[16])
{
    ipv6_groups groups = {.count = 0, .gap = GROUPS};
    size_t at = 0;
    if (length >= 2 && text[0] == ':' && text[1] == ':') {
        groups.gap = 0;
        at = 2;
    }
    while (at < length) {
        if (!parse_group(text, length, &at, &groups)
            || (at < length && !parse_colons(text, length, &at, &groups))) {
            return false;
        }
    }
    if (groups.gap == GROUPS ? groups.count != GROUPS : groups.count == GROUPS) {
        return false;
    }
    size_t before = groups.gap == GROUPS ? 2 * GROUPS : 2 * groups.gap;
    size_t behind = 2 * groups.count - (before < 2 * groups.count ? before : 2 * groups.count);
    memset(bytes, 0, 2 * GROUPS);
    memcpy(bytes, groups.bytes, before);
    memcpy(bytes + 2 * GROUPS - behind, groups.bytes + before, behind);
    return true;
}

bool
ip_address_parse(const utf16_unit *text, size_t length, ip_address *address)
{
    size_t end = 0;
    bool has_colon = false;
    while (end < length && text[end] != '%') {
        has_colon |= text[end++] == ':';
    }
    address->zone = text + end + (end < length);
    address->zone_length = end < length ? length - end - 1 : 0;
    if (has_colon) {
        return (end == length || address->zone_length > 0)
            && parse_ipv6(text, end, address->bytes);
    }
    memcpy(address->bytes, mapped, sizeof(mapped));
    return end == length && parse_ipv4(text, length, address->bytes + sizeof(mapped));
}

/* --- writing ------------------------------------------------------------------------------- */

static utf16_unit *
put_number(utf16_unit *out, unsigned value, unsigned base)
{
    utf16_unit digits[5];
    size_t count = 0;
    do {
        digits[count++] = (utf16_unit) "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0);
    while (count > 0) {
        *out++ = digits[--count];
    }
    return out;
}

static unsigned
group_at(const ip_address *address, int group)
{
    return (unsigned)address->bytes[2 * group] << 8 | address->bytes[2 * group + 1];
}

/* The first of the longest runs of zeros, which "::" stands for: of two groups at least. */
static void
find_gap(const ip_address *address, int *start, int *size)
{
    *start = GROUPS;
    *size = 1;
    for (int first = 0; first < GROUPS;) {
        int end = first;
        while (end < GROUPS && group_at(address, end) == 0) {
            end++;
        }
        if (end - first > *size) {
            *start = first;
            *size = end - first;
        }
        first = end + 1;
    }
}

size_t
ip_address_format(const ip_address *address, utf16_unit text[IP_TEXT_UNITS])
{
    utf16_unit *out = text;
    int start, size;
    if (memcmp(address->bytes, mapped, sizeof(mapped)) == 0) {
        for (int i = 12; i < 16; i++) {
            if (i > 12) {
                *out++ = '.';
            }
            out = put_number(out, address->bytes[i], 10);
        }
        return (size_t)(out - text);
    }
    find_gap(address, &start, &size);
    for (int group = 0; group < GROUPS; group++) {
        if (group == start) {
            *out++ = ':';
            *out++ = ':';
            group += size - 1;
            continue;
        }
        if (group > 0 && group != start + size) {
            *out++ = ':';
        }
        out = put_number(out, group_at(address, group), 16);
    }
    return (size_t)(out - text);
}
