#include "delete_guard.h"

/* What servers take off names, or lose on the way to their own character set, and what no name
   consists of: a name of nothing else names nobody. Ascending. Measured on smbd 4.17: it takes
   two leading backslashes off a client; with a `unix charset` other than UTF-8, U+E0000 to
   U+E007F vanish (glibc's iconv), and with CP932 U+00A5 is a backslash. */
static const struct {
    uint32_t first, last;
} nothing[] = {
    {0x01, 0x20}, /* control characters and the space */
    {'"', '"'},   /* up to '|': what no Windows account or computer may have in its name */
    {'*', ','},         {'.', '/'}, /* with dots alone *.* would be every address */
    {':', '?'},         {'[', ']'},         {'|', '|'},
    {0x7F, 0xA0},     /* control characters and the no-break space */
    {0xA5, 0xA5},     /* yen: a backslash in Japanese character sets */
    {0xAD, 0xAD},     /* soft hyphen */
    {0x034F, 0x034F}, /* combining grapheme joiner */
    {0x037E, 0x037E}, /* Greek question mark: the semicolon */
    {0x0600, 0x0605}, /* Arabic number signs: format characters */
    {0x061C, 0x061C}, /* Arabic letter mark */
    {0x066D, 0x066D}, /* Arabic star: an asterisk in some character sets */
    {0x06DD, 0x06DD},   {0x070F, 0x070F},   {0x0890, 0x0891},
    {0x08E2, 0x08E2},   {0x115F, 0x1160}, /* Hangul fillers */
    {0x1680, 0x1680},                     /* Ogham space */
    {0x17B4, 0x17B5},                     /* Khmer inherent vowels */
    {0x180B, 0x180F},                     /* Mongolian selectors and vowel separator */
    {0x2000, 0x200F},                     /* spaces, zero width, direction marks */
    {0x2024, 0x2026},                     /* one, two and three dots */
    {0x2028, 0x202F},                     /* separators, directions, narrow no-break space */
    {0x2044, 0x2044},                     /* fraction slash */
    {0x2047, 0x2047},                     /* two question marks */
    {0x205F, 0x206F},                     /* mathematical space, invisible operators, directions */
    {0x207A, 0x207A},   {0x207C, 0x207C}, /* superscript plus and equals sign */
    {0x208A, 0x208A},   {0x208C, 0x208C}, /* subscript ones */
    {0x20A9, 0x20A9},                     /* won: a backslash in Korean character sets */
    {0x2215, 0x2217},                     /* division slash, set minus, asterisk operator */
    {0x2329, 0x232A},                     /* angle brackets: square ones in some character sets */
    {0x2800, 0x2800},                     /* Braille blank */
    {0x29F5, 0x29F5},                     /* reverse solidus operator */
    {0x29F8, 0x29F9},                     /* big solidus, big reverse solidus */
    {0x2A74, 0x2A76},                     /* colons and equals signs */
    {0x3000, 0x3000},                     /* ideographic space */
    {0x3164, 0x3164},                     /* Hangul filler */
    {0xD800, 0xDFFF},                     /* surrogates that are alone: no character at all */
    {0xFB29, 0xFB29},                     /* Hebrew plus sign */
    {0xFDD0, 0xFDEF},                     /* no characters */
    {0xFE00, 0xFE10},                     /* variation selectors, vertical comma, */
    {0xFE13, 0xFE14},   {0xFE16, 0xFE16},   {0xFE19, 0xFE19}, /* vertical :, ;, ?, three dots, */
    {0xFE30, 0xFE30},   {0xFE47, 0xFE48},                     /* two dots, [ and ] */
    {0xFE50, 0xFE50},   {0xFE52, 0xFE52},   {0xFE54, 0xFE56},
    {0xFE61, 0xFE62},                     /* small ,;:?*+ */
    {0xFE64, 0xFE66},   {0xFE68, 0xFE68}, /* and <>=\ */
    {0xFE73, 0xFE73}, /* Arabic tail fragment: a blank in some character sets */
    {0xFEFF, 0xFEFF}, /* byte order mark */
    {0xFF02, 0xFF02},   {0xFF0A, 0xFF0C}, /* fullwidth quotation mark, *, +, comma, */
    {0xFF0E, 0xFF0F},   {0xFF1A, 0xFF1F},   {0xFF3B, 0xFF3D}, /* slash, : to ?, [, backslash, ] */
    {0xFF5C, 0xFF5C},                                         /* and vertical line */
    {0xFFA0, 0xFFA0},                                         /* halfwidth Hangul filler */
    {0xFFE5, 0xFFE6},                                         /* fullwidth yen and won */
    {0xFFF0, 0xFFFF}, /* unassigned, annotations, replacement characters, no characters */
    {0x110BD, 0x110BD}, {0x110CD, 0x110CD}, {0x13430, 0x1343F}, /* Egyptian format controls */
    {0x1BCA0, 0x1BCA3},                                         /* shorthand format controls */
    {0x1D173, 0x1D17A},                                         /* musical format controls */
    {0xE0000, 0xE0FFF}, /* tags and more variation selectors */
};

/* What stands between domain and account: also winbind's other separator, and what some character
   sets make a backslash or a slash of. */
static const utf16_unit separators[]
    = {'\\',   '/',    '+',    0xA5,   0x2044, 0x20A9, 0x2215, 0x2216, 0x29F5,
       0x29F8, 0x29F9, 0xFE62, 0xFE68, 0xFF0B, 0xFF0F, 0xFF3C, 0xFFE5, 0xFFE6};

static bool
is_nothing(uint32_t point)
{
    if ((point & 0xFFFEu) == 0xFFFEu) { /* the last two of every plane are no characters */
        return true;
    }
    for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
        if (point <= nothing[i].last) {
            return point >= nothing[i].first;
        }
    }
    return false;
}

/* The code point that a unit starts, which is not the terminator; a surrogate that is alone
   stands for itself. Moves `*units` behind it. */
static uint32_t
next_point(const utf16_unit **units)
{
    uint32_t unit = *(*units)++;
    uint32_t low = **units;
    if ((unit & 0xFC00u) != 0xD800u || (low & 0xFC00u) != 0xDC00u) {
        return unit;
    }
    (*units)++;
    return 0x10000u + ((unit & 0x3FFu) << 10) + (low & 0x3FFu);
}

/* Whether anything is left of a name up to `end` or its terminator. */
static bool
names_somebody(const utf16_unit *name, utf16_unit end)
{
    while (*name != 0 && *name != end) {
        if (!is_nothing(next_point(&name))) {
            return true;
        }
    }
    return false;
}

static bool
is_separator(utf16_unit unit)
{
    for (size_t i = 0; i < sizeof(separators) / sizeof(separators[0]); i++) {
        if (separators[i] == unit) {
            return true;
        }
    }
    return false;
}

/* Whether there is an account in DOMAIN\account, account@realm, DOMAIN\account@realm. */
static bool
has_account(const utf16_unit *user)
{
    const utf16_unit *account = user;
    for (; *user != 0; user++) {
        if (is_separator(*user)) {
            account = user + 1;
        }
    }
    return names_somebody(account, '@');
}

static bool
refuse(delete_refusal *refusal, const char *problem)
{
    *refusal = (delete_refusal){.problem = problem, .too_long = false};
    return false;
}

static bool
refuse_length(delete_refusal *refusal, const char *problem)
{
    *refusal = (delete_refusal){.problem = problem, .too_long = true};
    return false;
}

#define WHAT_TO_DO "; name a client or a user, and leave the other out to mean any"
#define TOO_LONG " must be at most 1023 UTF-16 units long ([MS-SRVS] 3.1.4.6); nothing was sent"

bool
delete_is_safe(const utf16_unit *client, const utf16_unit *user, delete_refusal *refusal)
{
    if (client == NULL && user == NULL) {
        return refuse(refusal, "name a client or a user (client=, user=): ending every session of "
                               "a server is never asked for");
    }
    if (client != NULL && !names_somebody(client, 0)) {
        return refuse(
            refusal,
            "client must be a computer name or an address: nothing is left of it without "
            "slashes, brackets, wildcards, dots and blanks, and a server may take that for "
            "every client" WHAT_TO_DO);
    }
    if (user != NULL && !has_account(user)) {
        return refuse(
            refusal,
            "user must be the name of a user: nothing is left of it without domain, "
            "slashes, brackets, wildcards, dots and blanks, and a server may take that for "
            "every user" WHAT_TO_DO);
    }
    if (client != NULL && utf16_length(client) > DELETE_NAME_UNITS) {
        return refuse_length(refusal, "client" TOO_LONG);
    }
    if (user != NULL && utf16_length(user) > DELETE_NAME_UNITS) {
        return refuse_length(refusal, "user" TOO_LONG);
    }
    return true;
}
