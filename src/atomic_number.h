/* A number that several threads change at once. MSVC's C has no <stdatomic.h>. */

#ifndef NETSESSION_ATOMIC_NUMBER_H
#define NETSESSION_ATOMIC_NUMBER_H

#include <stdbool.h>

#ifdef _MSC_VER
#include <intrin.h>

typedef volatile long atomic_number;

static inline void
atomic_number_init(atomic_number *number, int value)
{
    *number = value;
}

/* Makes it one more. Returns what it is then. */
static inline int
atomic_number_increment(atomic_number *number)
{
    return (int)_InterlockedIncrement(number);
}

/* Makes it one less. Returns what it is then. */
static inline int
atomic_number_decrement(atomic_number *number)
{
    return (int)_InterlockedDecrement(number);
}

/* Returns what it was. */
static inline int
atomic_number_exchange(atomic_number *number, int value)
{
    return (int)_InterlockedExchange(number, value);
}

/* Only where it is `expected`, and tells whether it was. */
static inline bool
atomic_number_replace(atomic_number *number, int expected, int value)
{
    return _InterlockedCompareExchange(number, value, expected) == expected;
}
#else
#include <stdatomic.h>

typedef atomic_int atomic_number;

static inline void
atomic_number_init(atomic_number *number, int value)
{
    atomic_init(number, value);
}

/* Makes it one more. Returns what it is then. */
static inline int
atomic_number_increment(atomic_number *number)
{
    return atomic_fetch_add(number, 1) + 1;
}

/* Makes it one less. Returns what it is then. */
static inline int
atomic_number_decrement(atomic_number *number)
{
    return atomic_fetch_sub(number, 1) - 1;
}

/* Returns what it was. */
static inline int
atomic_number_exchange(atomic_number *number, int value)
{
    return atomic_exchange(number, value);
}

/* Only where it is `expected`, and tells whether it was. */
static inline bool
atomic_number_replace(atomic_number *number, int expected, int value)
{
    return atomic_compare_exchange_strong(number, &expected, value);
}
#endif

#endif
