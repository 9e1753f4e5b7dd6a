// MLX_Q8: see mlx.glsl.
#define F_BITS 8
#include "mlx.glsl"
