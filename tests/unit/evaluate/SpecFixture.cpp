// Keeps MLIR out of the tests that include the fixture.
#include "SpecFixture.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"

#include "llvm/Support/SourceMgr.h"

#include <deque>
#include <fstream>
#include <sstream>

namespace attn::test {

struct SpecFixture::State {
  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
  std::deque<dsl::TypedSpecs> kept;
};

SpecFixture::SpecFixture() : state(std::make_unique<State>()) {}
SpecFixture::~SpecFixture() = default;

const dsl::TypedSpec *SpecFixture::analyzed(const std::string &text, const dsl::AnalyzeOptions &options) {
  std::string messages;
  mlir::ScopedDiagnosticHandler handler(&state->context, [&](mlir::Diagnostic &diagnostic) {
    messages += diagnostic.str() + "\n";
    return mlir::success();
  });
  llvm::SourceMgr sources;
  llvm::FailureOr<dsl::TypedSpecs> specs = dsl::analyze(state->context, sources, "test.attn", text, options);
  if (llvm::failed(specs) || specs->size() != 1) {
    ADD_FAILURE() << text << "\n" << messages;
    return nullptr;
  }
  state->kept.push_back(std::move(*specs));
  return state->kept.back().front().get();
}

const dsl::TypedSpec *SpecFixture::analyzedFile(const std::string &path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return analyzed(text.str());
}

} // namespace attn::test
