#include "interpreter_visit.h"

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
enter_interpreter(PyInterpreterState *interpreter, interpreter_visit *visit)
{
    PyThreadState *running = running_state();
    *visit = (interpreter_visit){.outer = NULL};
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
