#include "upcase.h"

typedef struct {
    uint16_t first, last; /* of the units that are mapped */
    uint16_t step;        /* 2 where only every other one is */
    uint16_t add;
    unsigned tables;
} upcase_range;

#include "upcase_table.h"

#define RANGES (sizeof(upcase_ranges) / sizeof(upcase_ranges[0]))

utf16_unit
upcase_find(utf16_unit unit, unsigned table)
{
    size_t low = 0, high = RANGES; /* the last range that starts at or before the unit */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (upcase_ranges[middle].first <= unit) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    if (low == 0) {
        return unit;
    }
    const upcase_range *range = &upcase_ranges[low - 1];
    bool mapped = unit <= range->last && (unit - range->first) % range->step == 0
               && (range->tables & table) != 0;
    return mapped ? (utf16_unit)(unit + range->add) : unit;
}

unsigned
upcase_tables(utf16_unit left, utf16_unit right)
{
    unsigned tables = 0;
    for (unsigned table = UPCASE_SAMBA; table <= UPCASE_WINDOWS; table++) {
        if (upcase_unit(left, table) == upcase_unit(right, table)) {
            tables |= table;
        }
    }
    return tables;
}

bool
upcase_same(const utf16_unit *left, const utf16_unit *right, unsigned table)
{
    while (*left != 0 && upcase_unit(*left, table) == upcase_unit(*right, table)) {
        left++;
        right++;
    }
    return *left == 0 && *right == 0;
}
