/* bcryptprimitives.dll, which Wine 8 lacks and every extension in Rust loads (Typer's pydantic
   among them): its one function in use, through the generator that Wine has. */
#include <windows.h>

/* RtlGenRandom of ntsecapi.h, exported by advapi32.dll under this name. */
__declspec(dllimport) BOOLEAN WINAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length)
{
    while (length > 0) {
        const ULONG part = length > 0x10000 ? 0x10000 : (ULONG)length;
        if (!SystemFunction036(buffer, part)) {
            return FALSE;
        }
        buffer += part;
        length -= part;
    }
    return TRUE;
}
