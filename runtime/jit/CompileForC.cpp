// attnModuleCompile of the library that holds the compiler.
#include "attn/Jit.h"
#include "runtime/c/Handles.h"

#include <string_view>

using namespace attn;
using namespace attn::c;

static Result<jit::Options> compileOptions(const AttnCompileOptions &given) {
  jit::Options options;
  if (given.file_name)
    options.fileName = given.file_name;
  options.attention = textOr(given.attention);
  options.target = textOr(given.target);
  options.schedule = textOr(given.schedule);
  options.checked = given.checked != 0;
  options.useDiskCache = given.no_disk_cache == 0;
  options.tf32 = given.tf32 != 0;
  options.approximateTanh = given.approximate_tanh != 0;
  for (std::size_t i = 0; i < given.define_count; ++i) {
    std::string_view text = given.defines && given.defines[i] ? given.defines[i] : "";
    std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string_view::npos)
      return Status(StatusCode::InvalidArgument,
                    "attnModuleCompile: expects `name=value`, but got `" + std::string(text) + "`");
    options.defines.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return options;
}

extern "C" {

int32_t attnHasCompiler(void) { return 1; }

AttnStatus attnModuleCompile(const AttnDevice *device, const char *text, const AttnCompileOptions *given,
                             AttnModule **module) {
  return guarded([&]() -> Status {
    if (!device || !text || !module)
      return missing("attnModuleCompile", !device ? "device" : !text ? "text" : "module");
    Result<jit::Options> options = compileOptions(given ? *given : AttnCompileOptions{});
    if (!options)
      return options.status();
    Result<Module> compiled = jit::compile(device->device, text, *options);
    if (compiled)
      *module = new AttnModule{device->device, *compiled};
    return compiled.status();
  });
}

} // extern "C"
