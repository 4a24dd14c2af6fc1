/// The Python code that opens compressed folders in the transformers library.
///
/// One template for every architecture; what differs, the classes that it extends and the names of experts, stands at
/// its end. It is kept as text in the program, which so stays a single file.
enum LoaderCode {
    /// - Parameters:
    ///   - family: whose classes are extended.
    ///   - experts: how the folder names experts; nil for models that have none.
    ///   - head: the module that is the head of the folder; nil where none is stored, or a tied one.
    static func text(for family: LoaderFamily, experts: ExpertNames?, head: String?) -> String {
        let classes = family.classes.map { modelClass(family, $0.name) }
        let end = configuration(family, experts, head)
        let parts = [factors, schemas, assembly, LoaderCode.experts, model, end] + classes
        return parts.joined(separator: "\n\n\n") + "\n"
    }

    private static func configuration(
        _ family: LoaderFamily, _ experts: ExpertNames?, _ head: String?
    ) -> String {
        """
        # How the folder names experts (the block they are in, and the layers of one) and the head that it stores.
        EXPERTS = \(experts?.python ?? "None")
        HEAD = \(head.map { "\"\($0)\"" } ?? "None")


        class \(family.configuration)(OlderKeys, transformers.\(family.stem)Config):
            model_type = "lowrank_\(family.modelType)"
            base_model_tp_plan = None
        """
    }

    /// It has the name of the dense class, so that `architectures` in config.json stays true.
    private static func modelClass(_ family: LoaderFamily, _ name: String) -> String {
        """
        class \(name)(LowRankModel, transformers.\(name)):
            config_class = \(family.configuration)
        """
    }
}

extension ExpertNames {
    fileprivate var python: String {
        #"{"block": "\#(block)", "layers": ["# + layers.map { "\"\($0)\"" }.joined(separator: ", ") + "]}"
    }
}
