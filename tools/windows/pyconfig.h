/* The part of CPython's PC/pyconfig.h that an extension's compilation needs, for compilers that
 * define __SIZEOF_POINTER__ (MinGW, clang).  It stands in the place of the host's pyconfig.h
 * beside a copy of the host's other Python headers, which are the same on every platform. */
#ifndef Py_CONFIG_H
#define Py_CONFIG_H

#define MS_WIN32
#define MS_WINDOWS
#define NT_THREADS
#define WITH_THREAD
#define Py_ENABLE_SHARED 1
#define HAVE_DECLSPEC_DLL 1
#define PLATFORM "win32"
#define COMPILER "[GCC or clang, cross]"
#define WITH_DOC_STRINGS 1
#define WITH_DECIMAL_CONTEXTVAR 1

/* LLP64: long stays at 4 bytes. */
#define SIZEOF_SHORT 2
#define SIZEOF_INT 4
#define SIZEOF_LONG 4
#define SIZEOF_LONG_LONG 8
#define SIZEOF_FLOAT 4
#define SIZEOF_DOUBLE 8
#define SIZEOF_FPOS_T 8
#define SIZEOF_WCHAR_T 2
#define SIZEOF_PID_T SIZEOF_INT
#if __SIZEOF_POINTER__ == 8
#define MS_WIN64
typedef long long Py_ssize_t;
#define PY_SSIZE_T_MAX 0x7fffffffffffffffLL
#define SIZEOF_VOID_P 8
#define SIZEOF_SIZE_T 8
#define SIZEOF_TIME_T 8
#define SIZEOF_HKEY 8
#define ALIGNOF_SIZE_T 8
#else
typedef int Py_ssize_t;
#define PY_SSIZE_T_MAX 0x7fffffff
#define SIZEOF_VOID_P 4
#define SIZEOF_SIZE_T 4
#define SIZEOF_TIME_T 4
#define SIZEOF_HKEY 4
#define ALIGNOF_SIZE_T 4
#endif
#define HAVE_PY_SSIZE_T 1
#define HAVE_LONG_LONG 1
#define ALIGNOF_MAX_ALIGN_T 8
#define DOUBLE_IS_LITTLE_ENDIAN_IEEE754 1

#define STDC_HEADERS 1
#define HAVE_STDINT_H 1
#define HAVE_INTTYPES_H 1
#define HAVE_STDDEF_H 1
#define HAVE_STDLIB_H 1
#define HAVE_STRING_H 1
#define HAVE_ERRNO_H 1
#define HAVE_FCNTL_H 1
#define HAVE_IO_H 1
#define HAVE_SIGNAL_H 1
#define HAVE_WCHAR_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_SYS_STAT_H 1

#endif
