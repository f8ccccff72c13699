// A program outside the project: loads a package and runs its kernel on the emulator.
#include <attn/Attn.h>

#include <cstdio>
#include <vector>

using namespace attn;

static int fail(const Status &status) {
  std::fprintf(stderr, "%s\n", status.message().c_str());
  return 1;
}

int main(int, char **arguments) {
  Result<Device> device = Device::open("emulator");
  if (!device)
    return fail(device.status());
  Result<Module> module = Module::load(*device, arguments[1]);
  if (!module)
    return fail(module.status());
  Result<Plan> plan = module->plan("affine");
  if (!plan)
    return fail(plan.status());

  std::vector<float> values(64);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(i);
  const std::size_t bytes = values.size() * sizeof(float);
  Result<Buffer> x = Buffer::allocate(*device, bytes), out = Buffer::allocate(*device, bytes);
  Result<Buffer> order = Buffer::allocate(*device, 8), workspace = Buffer::allocate(*device, 256);
  if (!x || !out || !order || !workspace)
    return 1;
  if (Status status = x->upload(std::as_bytes(std::span(values))); !status)
    return fail(status);
  if (Status status = order->fill(std::byte{0}); !status)
    return fail(status);
  Status status = plan->launch(Stream::defaultOf(*device),
                               {{"x", x->view(ElementType::F32, {1, 64})},
                                {"order", order->view(ElementType::I32, {2})},
                                {"out", out->view(ElementType::F32, {1, 64})},
                                {"scale", 1.5},
                                {"group", 1}},
                               {.workspace = workspace->address(), .workspaceBytes = workspace->size()});
  if (!status)
    return fail(status);
  if (Status read = out->download(std::as_writable_bytes(std::span(values))); !read)
    return fail(read);
  std::printf("%s on %s: %g %g %g %g\n", std::string(plan->name()).c_str(), device->info().name.c_str(), values[0],
              values[1], values[2], values[3]);
  return 0;
}
