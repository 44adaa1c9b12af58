"""`python demo`: a real ComfyUI with this pack and tiny trained models, what guidance does there in pictures and numbers."""
