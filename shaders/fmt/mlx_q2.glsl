// MLX_Q2: see mlx.glsl.
#define F_BITS 2
#include "mlx.glsl"
