import CommandLineKit
import CompressionCore
import Jobs
import LinearAlgebra

/// How a method works: what all of them know, and the options of single ones.
///
/// Values of the latter are text here; each method reads and checks its own.
enum MethodOptions {
    static let method = Setting(
        "method", .word(MethodRegistry.methods, placeholder: "NAME"), default: "svd",
        help: "How to compress: " + MethodRegistry.methods.joined(separator: ", "))
    static let storage = Option(
        "storage", .word(MethodSettings.Storage.allCases.map(\.rawValue), placeholder: "FORM"),
        help:
            "factors, or pivot: without their redundant numbers, at equal size a higher rank; the default for svd "
            + "with --stats")
    static let rankMultiple = Setting(
        "rank-multiple", .integer("N", from: 1, to: 4096), default: 1, help: "Make ranks multiples of N")
    static let exact = Flag("exact", help: "Decompose by the slower route that is accurate at any condition")
    static let fast = Flag("fast", help: "Decompose by randomised iteration; reports its excess error")
    static let accuracy = Exclusion("accuracy", [exact, fast])

    /// Options that belong to one method.
    static let special = sharing + tucker + train + mixtAndSaten

    private static let mixtAndSaten = [
        Option(
            "mixt-branches", .text("N"), help: "Average of N overlapping maps; more are smaller. A target by itself"),
        Option("mixt-base", .text("D"), help: "Bond dimension of the branches; 2 by default"),
        Option(
            "mixt-order", .text("WAY"),
            help: "natural (default); fitted: store rows and columns where the form loses less"),
        Option(
            "mixt-padding", .text("FORM"), help: "multiple (default): pad sides to multiples of D^N; power: to powers"),
        Option(
            "saten-pattern", .text("P"),
            help: "Entries of the sparse part: topk (default), or n of m neighbouring inputs, 2:4 for instance"),
        Option(
            "saten-density", .text("F"), help: "Share of the entries in the sparse part; otherwise what --keep leaves"),
        Option("saten-sweeps", .text("N"), help: "Turns in which the two parts are fitted again; 2 by default"),
        Option(
            "saten-low-rank", .text("METHOD"),
            help:
                "What makes the low-rank part: svd (default), or tt, which takes --tt-layout, --tt-order, --tt-modes"),
    ]

    private static let train = [
        Option(
            "tt-layout", .text("LAYOUT"),
            help:
                "interleaved (default): output and input modes side by side in every core; split: inputs, then "
                + "outputs"),
        Option("tt-order", .text("D"), help: "Cores of a train, or modes a side of a split one; 2 by default"),
        Option(
            "tt-modes", .text("FORM"),
            help: "Modes, such as out=8x8x16,in=4x4x8; forms for several shapes are separated by \";\""),
        Option("tt-ranks", .text("R1,R2"), help: "Ranks of all bonds of a train. A target by itself"),
        Option(
            "tt-outliers", .text("F"),
            help: "Share of the entries, those that a train misses most, to store exactly beside it, such as 1e-4"),
    ]

    private static let sharing = [
        Option(
            "share-layers", .text("G"),
            help: "Consecutive layers that share a basis (svd), or factors (--tucker-group layers, 2 by default)"),
        Option(
            "svd-group", .text("GROUP"),
            help: "What shares a basis: matrix (nothing), layers (2, or --share-layers), or the experts of a block"),
        Option(
            "share-sweeps", .text("N"), help: "Steps that fit a shared basis to what each member reads; 1 by default"),
        Option(
            "share-projections", .text("WHICH"),
            help: "inputs (default): those that read the hidden state (q, k, v, gate, up) share; all: o and down too"),
    ]

    private static let tucker = [
        Option(
            "tucker-group", .text("GROUP"),
            help: "What shares factors: matrix (nothing), heads (q, k, v, o of a block), experts, or layers"),
        Option(
            "tucker-algorithm", .text("NAME"),
            help: "hosvd, st-hosvd, or hooi (default), which improves on the others"),
        Option("tucker-sweeps", .text("N"), help: "Sweeps of hooi; by default up to 4, fewer where they gain little"),
        Option(
            "tucker-form", .text("FORM"),
            help: "preserve (default): every member of a stack keeps its core; full: members share cores too"),
        Option(
            "tucker-bundle", .text("LAMBDA"),
            help: "Project square attention outputs of all layers together, drawn by LAMBDA towards activations"),
        Option(
            "tucker-bundle-form", .text("FORM"),
            help: "tied (default): neighbouring layers have one projection between them; untied: each its own"),
        Option(
            "tucker-ranks", .text("A,B,C"),
            help:
                "Ranks by axis: out,in of a matrix; members,out,in of experts and layers; hidden,head_dim,projections "
                + "of heads"),
    ]

    static let common: [any OptionDeclaration] = [method, storage, rankMultiple, exact, fast]

    /// What a plan decides in place of the command line.
    static var planned: [any OptionDeclaration] { [method, storage, rankMultiple] + special }

    /// The settings of the method, without the seed, which is global.
    /// - Parameter knowsActivations: whether statistics of activations are given, which changes the usual storage.
    static func settings(_ arguments: ParsedArguments, knowsActivations: Bool = false) -> MethodSettings {
        var settings = MethodSettings()
        let usual: MethodSettings.Storage =
            arguments[method] == "svd" && knowsActivations ? .pivot : .factors
        settings.storage = arguments[storage].flatMap(MethodSettings.Storage.init) ?? usual
        settings.rankMultiple = arguments[rankMultiple]
        if arguments[exact] { settings.route = .direct }
        if arguments[fast] { settings.route = .randomized() }
        for option in special {
            if let value = arguments[option] { settings.values[option.specification.name] = value }
        }
        return settings
    }
}
