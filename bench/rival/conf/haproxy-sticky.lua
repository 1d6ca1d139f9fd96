-- A peer tells of a new session a moment after its client has been told, and the client's next request may be here before that: its
-- node would be picked anew, and end the session. So a request of a session that is not in the table waits for it, for up to a second.
core.register_action("wait_for_session", { "http-req" }, function(txn)
    local sid = txn.f:url_param("sid")
    for _ = 1, 100 do
        if core.backends["nodes"].stktable:lookup(sid) then
            return
        end
        core.msleep(10)
    end
end)
