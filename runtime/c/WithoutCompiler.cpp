// attnModuleCompile of the library that has no compiler.
#include "runtime/c/Handles.h"

using namespace attn;

extern "C" {

int32_t attnHasCompiler(void) { return 0; }

AttnStatus attnModuleCompile(const AttnDevice *, const char *, const AttnCompileOptions *, AttnModule **) {
  return c::report({StatusCode::Unsupported,
                    "attnModuleCompile: this library holds no compiler; load a package that `attnc compile "
                    "--emit=package` made, or use libattn_c_jit.so"});
}

} // extern "C"
