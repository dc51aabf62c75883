//! The batch norms of real networks: what goes through them for one image.

use std::fmt;

/// A network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// ResNet-50 of torchvision, for images of 224 × 224.
    ResNet50,
    /// DenseNet-121 of torchvision, for images of 224 × 224.
    DenseNet121,
    /// Inception v3 of torchvision, for images of 299 × 299; its eps is 1e-3.
    Inception3,
}

/// What goes through a batch norm for one image, (C, H, W).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// The network.
    pub network: Network,
    /// Channels.
    pub channels: usize,
    /// Height.
    pub height: usize,
    /// Width.
    pub width: usize,
    /// The layer's eps.
    pub eps: f64,
}

impl Network {
    /// All of them.
    pub const ALL: [Network; 3] = [Network::ResNet50, Network::DenseNet121, Network::Inception3];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Network::ResNet50 => "resnet50",
            Network::DenseNet121 => "densenet121",
            Network::Inception3 => "inception3",
        }
    }

    /// The shapes of its batch norms, each once, from the first to the last: of DenseNet-121, whose every layer has
    /// another number of channels, the first and the last of each block.
    pub fn shapes(self) -> Vec<Shape> {
        let (shapes, eps): (&[(usize, usize)], f64) = match self {
            Network::ResNet50 => (
                &[
                    (64, 112),
                    (64, 56),
                    (256, 56),
                    (128, 56),
                    (128, 28),
                    (512, 28),
                    (256, 28),
                    (256, 14),
                    (1024, 14),
                    (512, 14),
                    (512, 7),
                    (2048, 7),
                ],
                1e-5,
            ),
            Network::DenseNet121 => (
                &[
                    (64, 112),
                    (64, 56),
                    (128, 56),
                    (256, 56),
                    (128, 28),
                    (512, 28),
                    (256, 14),
                    (128, 14),
                    (1024, 14),
                    (512, 7),
                    (128, 7),
                    (1024, 7),
                ],
                1e-5,
            ),
            Network::Inception3 => (
                &[
                    (32, 149),
                    (32, 147),
                    (64, 147),
                    (80, 73),
                    (192, 71),
                    (64, 35),
                    (48, 35),
                    (96, 35),
                    (384, 17),
                    (192, 17),
                    (128, 17),
                    (160, 17),
                    (320, 8),
                    (384, 8),
                    (448, 8),
                    (192, 8),
                ],
                1e-3,
            ),
        };
        let shape = |&(channels, size)| Shape { network: self, channels, height: size, width: size, eps };
        shapes.iter().map(shape).collect()
    }

    /// Some of them that stand for the others: the first, and every fourth after it.
    pub fn some_shapes(self) -> Vec<Shape> {
        self.shapes().into_iter().step_by(4).collect()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}x{}x{}", self.network.name(), self.channels, self.height, self.width)
    }
}
