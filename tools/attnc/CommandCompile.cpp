// `attnc compile`: a specification to the text of any stage, a cubin, a package or a C header.
#include "tools/attnc/Command.h"
#include "tools/attnc/PackageHeader.h"
#include "tools/attnc/Ptxas.h"
#include "tools/attnc/SpecModule.h"
#include "tools/attnc/TensorFile.h"

#include "attn/Package.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <filesystem>
#include <span>
#include <system_error>
#include <unistd.h>

namespace attn::tools {

namespace {
struct CompileOptions {
  SpecOptions spec;
  std::string emit = "ptx", output;
};
} // namespace

static std::vector<std::string> splitTargets(const std::string &text) {
  std::vector<std::string> targets;
  for (std::size_t at = 0; at <= text.size();) {
    std::size_t comma = std::min(text.find(',', at), text.size());
    targets.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return targets;
}

/// One package for all targets, with a cubin beside each PTX where ptxas is present.
static Result<Package> compilePackage(const driver::CompileRequest &request, const std::vector<std::string> &targets) {
  Package package;
  if (request.from == driver::Stage::Source)
    package.setSource(request.source);
  for (const std::string &target : targets) {
    driver::CompileRequest one = request;
    one.target = target;
    Result<jit::JitSession::Kernel> kernel = compiledKernel(one);
    if (!kernel)
      return kernel.status();
    std::string cubin;
    if (findPtxas()) {
      Result<AssemblerReport> report = assemble((*kernel)->ptx, target);
      if (!report)
        return report.status();
      cubin = report->cubin;
    }
    if (Status status = package.add((*kernel)->manifestJson, (*kernel)->ptx, std::as_bytes(std::span(cubin))); !status)
      return status;
  }
  return package;
}

static std::string asText(const std::vector<std::byte> &bytes) {
  return std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size());
}

static Result<std::string> compile(const driver::CompileRequest &request, driver::Stage stage,
                                   const std::vector<std::string> &targets) {
  switch (stage) {
  case driver::Stage::Package: {
    Result<Package> package = compilePackage(request, targets);
    if (!package)
      return package.status();
    return asText(package->serialize());
  }
  case driver::Stage::Header: {
    Result<Package> package = compilePackage(request, targets);
    if (!package)
      return package.status();
    return packageHeader(*package);
  }
  case driver::Stage::Cubin: {
    Result<std::string> ptx = compile(request, driver::Stage::Ptx, targets);
    if (!ptx)
      return ptx.status();
    Result<AssemblerReport> report = assemble(*ptx, request.target);
    if (!report)
      return report.status();
    return report->cubin;
  }
  case driver::Stage::Ptx: {
    if (request.from > driver::Stage::Tile) // no manifest can be made any more, and the cache keeps one with each kernel
      return driver::emitStage(request, stage);
    Result<jit::JitSession::Kernel> kernel = compiledKernel(request);
    if (!kernel)
      return kernel.status();
    return (*kernel)->ptx;
  }
  default: {
    std::string warnings;
    Result<std::string> text = driver::emitStage(request, stage, &warnings);
    if (!warnings.empty())
      printNote(warnings);
    return text;
  }
  }
}

static Status run(const CompileOptions &options) {
  std::optional<driver::Stage> stage = driver::parseStage(options.emit);
  if (!stage)
    return Status(StatusCode::InvalidArgument,
                  fmt::format("--emit {}: expects one of {}", options.emit, driver::stageList([](driver::Stage) { return true; })));
  if (Status status = checkWritable(options.output.empty() ? "-" : options.output); !status)
    return status;
  std::error_code ignored;
  if (!options.output.empty() && std::filesystem::equivalent(options.output, options.spec.path, ignored))
    return Status(StatusCode::InvalidArgument, fmt::format("-o {}: is the file that is compiled", options.output));
  Result<driver::CompileRequest> request = options.spec.request();
  if (!request)
    return request.status();
  std::vector<std::string> targets = splitTargets(request->target);
  bool several = *stage == driver::Stage::Package || *stage == driver::Stage::Header;
  if (targets.size() > 1 && !several)
    return Status(StatusCode::InvalidArgument, fmt::format("--target {}: several targets go into a package (--emit=package)", request->target));
  if (!driver::isText(*stage) && options.output.empty() && isatty(STDOUT_FILENO))
    return Status(StatusCode::InvalidArgument, fmt::format("--emit {}: is binary; name a file with -o", options.emit));
  Result<std::string> text = compile(*request, *stage, targets);
  if (!text)
    return text.status();
  return writeFile(options.output.empty() ? "-" : options.output, *text);
}

void addCompileCommand(CLI::App &app, int &exitCode) {
  auto options = std::make_shared<CompileOptions>();
  CLI::App *command = app.add_subcommand("compile", "compile a specification");
  options->spec.addTo(*command);
  command->add_option("--emit", options->emit, "ast, attn, tile, nvvm, llvm, ptx, cubin, package or header")->capture_default_str()->type_name("STAGE");
  command->add_option("-o,--output", options->output, "where to write; default: standard output")->type_name("FILE");
  command->callback([options, &exitCode] {
    if (Status status = run(*options); !status)
      exitCode = fail(status);
  });
}

} // namespace attn::tools
