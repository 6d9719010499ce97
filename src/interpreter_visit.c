#include "interpreter_visit.h"

#include <stdlib.h>

#include "atomic_number.h"

/* --- how long an interpreter lives --------------------------------------------------------- */

#define LIFE_CAPSULE "netsession.interpreter_life" /* in the interpreter's dict, and its key */

struct interpreter_life {
    atomic_number references;
    atomic_number ended; /* 0 or 1 */
    PyInterpreterState *interpreter;
};

interpreter_life *
interpreter_life_share(interpreter_life *life)
{
    (void)atomic_number_increment(&life->references);
    return life;
}

void
interpreter_life_drop(interpreter_life *life)
{
    if (atomic_number_decrement(&life->references) == 0) {
        free(life);
    }
}

/* The interpreter's dict goes when it ends. */
static void
end_life(PyObject *capsule)
{
    interpreter_life *life = PyCapsule_GetPointer(capsule, LIFE_CAPSULE);
    (void)atomic_number_exchange(&life->ended, 1);
    interpreter_life_drop(life);
}

/* A capsule with a life that has just begun; NULL with an exception set. */
static PyObject *
new_life(void)
{
    interpreter_life *life = calloc(1, sizeof(*life));
    if (life == NULL) {
        return PyErr_NoMemory();
    }
    atomic_number_init(&life->references, 1); /* the capsule's */
    atomic_number_init(&life->ended, 0);
    life->interpreter = PyInterpreterState_Get();
    PyObject *capsule = PyCapsule_New(life, LIFE_CAPSULE, end_life);
    if (capsule == NULL) {
        free(life);
    }
    return capsule;
}

interpreter_life *
interpreter_life_current(void)
{
    interpreter_life *life = NULL;
    PyObject *dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
    PyObject *key = dict == NULL ? NULL : PyUnicode_FromString(LIFE_CAPSULE);
    PyObject *found = key == NULL ? NULL : PyDict_GetItemWithError(dict, key);
    if (found == NULL && key != NULL && !PyErr_Occurred()) {
        PyObject *made = new_life();
        /* Borrowed, as the one above: another thread's where that was quicker. */
        found = made == NULL ? NULL : PyDict_SetDefault(dict, key, made);
        Py_XDECREF(made);
    }
    if (found != NULL) {
        life = interpreter_life_share(PyCapsule_GetPointer(found, LIFE_CAPSULE));
    }
    else if (!PyErr_Occurred()) {
        (void)PyErr_NoMemory(); /* the dict does not say so */
    }
    Py_XDECREF(key);
    return life;
}

/* --- visits -------------------------------------------------------------------------------- */

/* The state this thread runs Python with, NULL where it holds no GIL. */
static PyThreadState *
running_state(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    return PyThreadState_GetUnchecked();
#elif PY_VERSION_HEX >= 0x030C0000
    return _PyThreadState_UncheckedGet();
#else
    /* Up to 3.11 that tells which thread holds the one GIL. Streams are made in the main
       interpreter only there, so that a thread has no state but the one of PyGILState. */
    PyThreadState *own = PyGILState_GetThisThreadState();
    return own == _PyThreadState_UncheckedGet() ? own : NULL;
#endif
}

static bool
belongs_to(PyThreadState *state, PyInterpreterState *interpreter)
{
    return state != NULL && PyThreadState_GetInterpreter(state) == interpreter;
}

/* Whether Python has ended or is about to: a thread that waits for its GIL then never returns. */
static bool
python_ends(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    return !Py_IsInitialized() || Py_IsFinalizing();
#else
    return !Py_IsInitialized() || _Py_IsFinalizing();
#endif
}

bool
enter_interpreter(interpreter_life *life, interpreter_visit *visit)
{
    PyThreadState *running = running_state();
    PyInterpreterState *interpreter = life->interpreter;
    *visit = (interpreter_visit){.outer = NULL};
    if (atomic_number_replace(&life->ended, 1, 1)) {
        return false;
    }
    if (belongs_to(running, interpreter)) {
        return true;
    }
    if (python_ends()) {
        return false;
    }
    if (running != NULL) {
        visit->outer = PyEval_SaveThread();
    }
    PyThreadState *own = PyGILState_GetThisThreadState(); /* as consumers release the GIL */
    visit->made = !belongs_to(own, interpreter);
    visit->entered = visit->made ? PyThreadState_New(interpreter) : own;
    if (visit->entered != NULL) {
        PyEval_RestoreThread(visit->entered);
    }
    else if (visit->outer != NULL) {
        PyEval_RestoreThread(visit->outer);
    }
    return visit->entered != NULL;
}

void
leave_interpreter(const interpreter_visit *visit)
{
    if (visit->made) {
        PyThreadState_Clear(visit->entered);
        PyThreadState_DeleteCurrent();
    }
    else if (visit->entered != NULL) {
        (void)PyEval_SaveThread();
    }
    if (visit->outer != NULL) {
        PyEval_RestoreThread(visit->outer);
    }
}
