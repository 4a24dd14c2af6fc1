import CommandLineKit
import Jobs

/// In what the error of a matrix is measured.
enum ObjectiveOptions {
    static let statistics = Option(
        "stats", .file("STATS"), help: "Activation statistics that calibrate wrote for this checkpoint")
    static let objective = Option(
        "objective", ValueFormat<ObjectiveRequest.Kind>.choice("NAME"),
        help: "weights, activations, asvd, fisher or kfac; with --stats activations by default, with --text too kfac")
    static let fisher = Option(
        "fisher", .file(), help: "Mean squared gradients, safetensors with the names of the weights")

    static let sequential = Flag(
        "sequential", help: "Fit each matrix to what the compressed layers before it give; what --text asks for")

    static let section = OptionSection("Objective", [statistics, objective, fisher, sequential])
}
