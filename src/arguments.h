/* Arguments from Python, checked. Every message names the argument. */

#ifndef NETSESSION_ARGUMENTS_H
#define NETSESSION_ARGUMENTS_H

#include <Python.h>

#include "netapi.h"
#include "session_level.h"

/* str or None to UTF-16: `*units` becomes a new bytes object, or NULL for None. */
int argument_name(PyObject *value, const char *argument, PyObject **units);

/* The units of such a bytes object; NULL for NULL. They belong to the object. */
static inline const utf16_unit *
name_units(PyObject *units)
{
    return units == NULL ? NULL : (const utf16_unit *)(const void *)PyBytes_AS_STRING(units);
}

/* int to DWORD: 0 to 0xFFFFFFFF. */
int argument_dword(PyObject *value, const char *argument, uint32_t *dword);

/* int to a number of 64 bits with a sign. */
int argument_int64(PyObject *value, const char *argument, int64_t *number);

/* int to a row of the level table. */
int argument_level(PyObject *value, const session_level **level);

/* A backend: None for netapi32.dll, a capsule that carries a netapi, or a callable that takes
   (opnum, request stub) and returns the reply stub. `*api` is NULL for a callable. The table
   belongs to the capsule, so the backend must be kept as long as it is used. */
int argument_backend(PyObject *value, const netapi **api);

#endif
