#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <string.h>

#include "utf16.h"

/* All bits of all units together: enough to tell in which range the widest one is. */
static utf16_unit
all_bits(const utf16_unit *units, size_t length)
{
    utf16_unit bits = 0;
    for (size_t i = 0; i < length; i++) { /* no early exit: compilers vectorise this */
        bits |= units[i];
    }
    return bits;
}

static bool
is_surrogate(utf16_unit unit)
{
    return (unit & 0xF800u) == 0xD800u; /* 0xD800 to 0xDFFF */
}

static bool
has_surrogates(const utf16_unit *units, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (is_surrogate(units[i])) {
            return true;
        }
    }
    return false;
}

static PyObject *
one_byte_str(const utf16_unit *units, size_t length, Py_UCS4 widest)
{
    PyObject *str = PyUnicode_New((Py_ssize_t)length, widest);
    if (str == NULL) {
        return NULL;
    }
    Py_UCS1 *characters = PyUnicode_1BYTE_DATA(str);
    for (size_t i = 0; i < length; i++) {
        characters[i] = (Py_UCS1)units[i];
    }
    return str;
}

PyObject *
utf16_to_str(const utf16_unit *units, size_t length)
{
    utf16_unit bits = all_bits(units, length);
    if (bits < 0x100) {
        return one_byte_str(units, length, bits < 0x80 ? 0x7F : 0xFF);
    }
    if (has_surrogates(units, length)) {
        int byte_order = -1; /* little-endian, and no byte order mark is looked for */
        return PyUnicode_DecodeUTF16((const char *)units, (Py_ssize_t)(length * 2),
                                     "surrogatepass", &byte_order);
    }
    PyObject *str = PyUnicode_New((Py_ssize_t)length, 0xFFFF); /* each unit a character */
    if (str != NULL) {
        memcpy(PyUnicode_2BYTE_DATA(str), units, length * sizeof(utf16_unit));
    }
    return str;
}

PyObject *
utf16_from_str(PyObject *text, const char *argument)
{
    PyObject *units = NULL;  /* bytes without the terminator */
    PyObject *result = NULL; /* bytes with it */

    if (PyUnicode_FindChar(text, 0, 0, PyUnicode_GET_LENGTH(text), 1) != -1) {
        PyErr_Format(PyExc_ValueError, "%s must not contain a NUL character", argument);
        return NULL;
    }
    units = PyUnicode_AsEncodedString(text, "utf-16-le", "surrogatepass");
    if (units == NULL) {
        return NULL;
    }
    Py_ssize_t size = PyBytes_GET_SIZE(units);
    result = PyBytes_FromStringAndSize(NULL, size + (Py_ssize_t)sizeof(utf16_unit));
    if (result != NULL) {
        memcpy(PyBytes_AS_STRING(result), PyBytes_AS_STRING(units), (size_t)size);
        memset(PyBytes_AS_STRING(result) + size, 0, sizeof(utf16_unit));
    }
    Py_DECREF(units);
    return result;
}

/* The code point that a unit starts, which is not the terminator; `*count` is how many units
   it takes. */
static uint32_t
code_point(const utf16_unit *units, int *count)
{
    *count = 1;
    if (!is_surrogate(units[0])) {
        return units[0];
    }
    if (units[0] >= 0xDC00u || units[1] < 0xDC00u || units[1] > 0xDFFFu) {
        return 0xFFFDu; /* alone: what cannot be told in UTF-8 */
    }
    *count = 2;
    return 0x10000u + ((units[0] & 0x3FFu) << 10) + (units[1] & 0x3FFu);
}

/* A code point above 0x7F, as two to four bytes. */
static char *
put_code_point(uint32_t point, char *out)
{
    if (point < 0x800u) {
        *out++ = (char)(0xC0u | point >> 6);
    }
    else if (point < 0x10000u) {
        *out++ = (char)(0xE0u | point >> 12);
        *out++ = (char)(0x80u | (point >> 6 & 0x3Fu));
    }
    else {
        *out++ = (char)(0xF0u | point >> 18);
        *out++ = (char)(0x80u | (point >> 12 & 0x3Fu));
        *out++ = (char)(0x80u | (point >> 6 & 0x3Fu));
    }
    *out++ = (char)(0x80u | (point & 0x3Fu));
    return out;
}

char *
utf16_to_utf8(const utf16_unit **units, char *out, const char *limit)
{
    const utf16_unit *in = *units;
    while (*in != 0 && limit - out >= 4) {
        if (*in < 0x80) {
            *out++ = (char)*in++;
        }
        else {
            int count;
            out = put_code_point(code_point(in, &count), out);
            in += count;
        }
    }
    *units = in;
    return out;
}
