/* The slots of our extension modules, as far as the CPython has them that compiles: they may be
   used in sub-interpreters with a GIL of their own, and without any. */

#ifndef NETSESSION_MODULE_SLOTS_H
#define NETSESSION_MODULE_SLOTS_H

#include <Python.h>

#if PY_VERSION_HEX >= 0x030C0000
#define INTERPRETERS_SLOT {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#else
#define INTERPRETERS_SLOT
#endif

#if PY_VERSION_HEX >= 0x030D0000
#define GIL_SLOT {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#else
#define GIL_SLOT
#endif

/* An array of PyModuleDef_Slot; exec fills the module. */
/* clang-format off */
#define MODULE_SLOTS(exec) {{Py_mod_exec, exec}, INTERPRETERS_SLOT GIL_SLOT {0, NULL}}
/* clang-format on */

#endif
