/* Upper case as servers see it when they compare names: one UTF-16 unit to one unit, never longer,
   by a fixed table. There are two: Samba's, which is Windows XP's, and that of Windows 7 and later
   ([MS-UCODEREF] 3.1.5.3). Surrogates are mapped to themselves in both. No Python. */

#ifndef NETSESSION_UPCASE_H
#define NETSESSION_UPCASE_H

#include "utf16.h"

/* Bits, since a mapping may be in both. */
enum {
    UPCASE_SAMBA = 1,
    UPCASE_WINDOWS = 2,
    UPCASE_BOTH = UPCASE_SAMBA | UPCASE_WINDOWS,
};

/* The upper case of a unit above U+007F in `table`, one of the two; the unit if it has none. */
utf16_unit upcase_find(utf16_unit unit, unsigned table);

static inline utf16_unit
upcase_unit(utf16_unit unit, unsigned table)
{
    if (unit > 0x7F) {
        return upcase_find(unit, table);
    }
    return unit >= 'a' && unit <= 'z' ? (utf16_unit)(unit - ('a' - 'A')) : unit;
}

/* By which tables two units are the same but for case. */
unsigned upcase_tables(utf16_unit left, utf16_unit right);

/* Whether two terminated names are equal but for case in `table`. */
bool upcase_same(const utf16_unit *left, const utf16_unit *right, unsigned table);

#endif
