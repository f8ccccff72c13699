// The just-in-time interface over the compiler that is linked in.
#include "attn/Jit.h"

#include "attn/Version.h"
#include "runtime/jit/JitSession.h"

#include <fmt/format.h>

#include <dlfcn.h>
#include <filesystem>
#include <system_error>

namespace attn::jit {

/// The version, and the size and age of the file that holds this code: two builds never share kernels.
static std::string compilerVersion() {
  std::string version = ATTN_VERSION;
  Dl_info self{};
  if (!dladdr(reinterpret_cast<const void *>(&compilerVersion), &self) || !self.dli_fname)
    return version;
  std::error_code error;
  // The name of a program started through PATH need not lead to it; this link does.
  std::filesystem::path path = self.dli_fname;
  if (!std::filesystem::exists(path, error))
    path = "/proc/self/exe";
  auto bytes = std::filesystem::file_size(path, error);
  auto age = std::filesystem::last_write_time(path, error).time_since_epoch().count();
  return error ? version : fmt::format("{}+{:x}.{:x}", version, bytes, age);
}

static JitSession &session() {
  // Never destroyed: a thread may still compile while the program ends.
  static JitSession &only =
      *new JitSession({.canonicalText = driver::canonicalText, .compile = driver::compileSpec, .version = compilerVersion()});
  return only;
}

Result<Module> compile(const Device &device, std::string_view text, const Options &options) {
  return session().compile(device, text, options);
}

Result<JitSession::Kernel> findKernel(const driver::CompileRequest &request, const Options &options) {
  return session().findKernel(request, options);
}

} // namespace attn::jit
