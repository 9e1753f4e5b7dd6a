// MLX_Q6: see mlx.glsl.
#define F_BITS 6
#include "mlx.glsl"
