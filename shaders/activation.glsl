// Activations, and what they make of a gate and an up; kinds as vulkan::Element counts them.
float silu(float x) { return x / (1.0 + exp(-x)); }
// The tanh form; written by exp, as tanh's own precision is not promised to hold for large arguments.
float tanh_of(float x) { return 1.0 - 2.0 / (exp(2.0 * x) + 1.0); }
float gelu(float x) { return 0.5 * x * (1.0 + tanh_of(0.7978845608028654 * x * (1.0 + 0.044715 * x * x))); }
float gated(uint kind, float gate, float up) {
  if (kind == 0) return silu(gate) * up;
  if (kind == 1) return gelu(gate) * up;
  const float x = min(gate, 7.0);
  return x / (1.0 + exp(-1.702 * x)) * (clamp(up, -7.0, 7.0) + 1.0);
}
