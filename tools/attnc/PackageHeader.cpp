#include "tools/attnc/PackageHeader.h"

#include "runtime/manifest/KernelManifest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

namespace attn::tools {

static std::string describeArguments(const PlanManifest &manifest) {
  std::string text;
  for (const TensorArgument &tensor : manifest.tensors) {
    std::vector<std::string> dims;
    for (const SizeExpr &dim : tensor.dims)
      dims.push_back(dim.text());
    std::string_view role = tensor.role == ArgumentRole::Input ? "input" : tensor.role == ArgumentRole::Output ? "output" : "workspace";
    text += fmt::format(" *   {:9} {}: {}[{}]\n", role, tensor.name, spelling(tensor.type), fmt::join(dims, ", "));
  }
  for (const ScalarArgument &scalar : manifest.scalars)
    text += fmt::format(" *   {:9} {}: {}{}\n", "scalar", scalar.name, spelling(scalar.type),
                        scalar.defaultValue ? fmt::format(" = {}", *scalar.defaultValue) : "");
  return text;
}

Result<std::string> packageHeader(const Package &package) {
  std::string plans, name;
  std::set<std::string> seen;
  for (const PackageEntry &entry : package.entries()) {
    std::string error;
    std::optional<PlanManifest> manifest = parseManifest(entry.manifestJson, &error);
    if (!manifest)
      return Status(StatusCode::Internal, error);
    if (!seen.insert(entry.plan).second)
      continue;
    if (name.empty())
      name = entry.plan;
    plans += fmt::format(" * {}\n{}", entry.plan, describeArguments(*manifest));
  }
  std::vector<std::byte> bytes = package.serialize();
  std::string text = fmt::format("/* Made by attnc. The package holds these plans:\n{} * Load it with attn::Package::parse. */\n", plans);
  text += fmt::format("#ifndef ATTN_PACKAGE_{0}_H\n#define ATTN_PACKAGE_{0}_H\n\n#include <stddef.h>\n\n"
                      "static const size_t attn_package_{0}_size = {1};\n"
                      "#if defined(__cplusplus)\nalignas(16)\n#else\n_Alignas(16)\n#endif\n"
                      "static const unsigned char attn_package_{0}[{1}] = {{\n",
                      name, bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i)
    text += fmt::format("{},{}", static_cast<unsigned>(bytes[i]), i % 24 == 23 ? "\n" : "");
  return text + fmt::format("\n}};\n\n#endif /* ATTN_PACKAGE_{}_H */\n", name);
}

} // namespace attn::tools
